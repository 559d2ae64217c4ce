"""Gas: what the market's transactions use, from the receipts of real ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from simulators.bench.figures import Figure, Section
from simulators.bench.market import GasMarket, House
from simulators.bench.trading import Trader
from simulators.chain import Anvil

REPORT_LIMIT: Final = 36_000
BACKLOG_LIMIT: Final = 2_500
SIGNED_LIMIT: Final = 13_000

_GENESIS: Final = 1_782_104_400  # fixed: the zero bytes of times and signatures cost less
_CARRIED: Final = 200
_DAY: Final = 96
_GAIN_WH: Final = 311
_YOUNG_WH: Final = (1_234_567, 2_345_678)
_OLD_WH: Final = (81_234_567, 182_345_678)
_OLD_SEQUENCE: Final = 70_000
_YOUNG: Final = "registers of 3 bytes"
_OLD: Final = "registers of 4 bytes, two years of readings"
"""As many bytes that are not 0 as a household's reading ever has; each costs 12 gas."""


def measure() -> Section:
    """Measure all of it.

    Raises:
        BenchError: A transaction reverted.
        StartError: Anvil is missing or did not start.
    """
    with Anvil(genesis_epoch=_GENESIS) as chain:
        market = GasMarket(chain, _GENESIS + 60)
        young, enrolment = _area(market, 0, _YOUNG_WH)
        old, _ = _area(market, _CARRIED, _OLD_WH)
        figures = [
            Figure("deployment", market.deployment_gas, "gas"),
            Figure("enrol", enrolment, "gas", remark="the market's second household"),
        ]
        market.pass_time()
        first = market.report(young[0], [young[0].read(_GAIN_WH)])
        figures.append(Figure("household's first report", first, "gas", remark="one reading, mints; the token's first"))
        for house in old:
            house.sequence = _OLD_SEQUENCE
        for houses in (young[1:], old):  # every slot has been written by a report from here on
            market.report_signed(houses, _GAIN_WH, listed=True)
        bench = _Undone(chain, market)
        figures += _reports(market, bench, young[1], old[1])
        figures += _carried(market, bench, young, old)
        figures += _others(market, bench, old)
    return Section("gas", "Anvil, Shanghai rules, receipts' gasUsed; base cost and calldata included", figures)


class _Undone:
    """Measures something and takes it back, so that nothing depends on the order."""

    def __init__(self, chain: Anvil, market: GasMarket) -> None:
        self._chain = chain
        self._market = market

    def gas(self, houses: list[House], act: Callable[[], int]) -> int:
        """The gas that `act` uses, one interval later."""
        before = [(house.produced_wh, house.consumed_wh, house.taken_at, house.sequence) for house in houses]
        now, snapshot = self._market.now, self._chain.snapshot()
        self._market.pass_time()
        used = act()
        self._chain.revert(snapshot)
        self._chain.rpc("anvil_dropAllTransactions")  # the pool remembers what was taken back
        self._market.now = now
        for house, kept in zip(houses, before, strict=True):
            house.produced_wh, house.consumed_wh, house.taken_at, house.sequence = kept
        return used


def _area(market: GasMarket, begin: int, registers: tuple[int, int]) -> tuple[list[House], int]:
    made = [market.house(number, *registers) for number in range(begin, begin + _CARRIED)]
    return [house for house, _ in made], made[1][1]


def _reports(market: GasMarket, bench: _Undone, young: House, old: House) -> list[Figure]:
    figures = []
    for house, age in ((young, _YOUNG), (old, _OLD)):
        used = bench.gas([house], partial(_backlog, market, house, 1))
        figures.append(Figure("report of one reading", used, "gas", REPORT_LIMIT, f"steady state, mints; {age}"))
    night = bench.gas([old], lambda: market.report(old, [old.read(0)]))
    figures.append(Figure("report of one reading at night", night, "gas", remark="nothing produced"))
    for count in (4, 24, _DAY):
        used = bench.gas([old], partial(_backlog, market, old, count))
        limit = BACKLOG_LIMIT if count == _DAY else None
        remark = f"{used:,} in one transaction, all mint; {_OLD}"
        figures.append(Figure(f"backlog of {count}, each", used / count, "gas", limit, remark))
    return figures


def _backlog(market: GasMarket, house: House, count: int) -> int:
    market.pass_time(count)
    return market.report(house, [house.read(_GAIN_WH) for _ in range(count)])


def _carried(market: GasMarket, bench: _Undone, young: list[House], old: list[House]) -> list[Figure]:
    figures = []
    batches = [(old[:count], _OLD) for count in (1, 10, 50)] + [(young, _YOUNG), (old, _OLD)]
    for houses, age in batches:
        count = len(houses)
        for listed in (False, True):
            used = bench.gas(houses, partial(market.report_signed, houses, _GAIN_WH, listed=listed))
            # A carrier names the slots, as the contract's README says: what it costs without is for interest.
            limit = SIGNED_LIMIT if count == _CARRIED and listed else None
            access = "with access list" if listed else "without access list"
            name = f"reportSigned, {count} household{'s' if count > 1 else ''}, each"
            remark = f"{access}, all mint; {age}; {used:,} in all"
            figures.append(Figure(name, used / count, "gas", limit, remark))
    return figures


def _others(market: GasMarket, bench: _Undone, houses: list[House]) -> list[Figure]:
    sender, receiver = houses[2], houses[3]
    stranger = "0x00000000000000000000000000000000000be4c4"

    def replacement() -> int:
        new = bytes.fromhex("ab" * 32)
        return market.transact(
            market.office, "replaceMeter", sender.address, 0, new, sender.produced_wh + _GAIN_WH, 1_000
        )

    moved = bench.gas([], lambda: market.transact(sender.account, "transfer", receiver.address, 100))
    fresh = bench.gas([], lambda: market.transact(sender.account, "transfer", stranger, 100))
    trader = Trader(market, houses[4], houses[5])
    return [
        *trader.figures(lambda act: bench.gas([], act)),
        Figure("replaceMeter", bench.gas([], replacement), "gas", remark="production, mints what the old one had left"),
        Figure("transfer", moved, "gas", remark="to a household"),
        Figure("transfer to a new account", fresh, "gas"),
    ]
