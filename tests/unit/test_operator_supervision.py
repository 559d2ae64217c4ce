"""What the distribution agent's two screens say: trades, and who built the blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.domain.block_statistics import BuiltBlock, Origin
from agent.domain.deployment import Deployed, Roles
from agent.domain.market import ChainPin, Head, Settlement
from agent.domain.market_events import Enrolled, MarketEvent, Offered, Traded, Wanted
from agent.domain.orders import Order, Trade
from agent.domain.trade_history import Selection
from agent.operator.__main__ import main
from agent.operator.arguments import parser
from agent.operator.consensus import inspect
from agent.operator.trades import trades
from tests.fakes.logs import ACCOUNTS, MARKET, place

A, B, C = ACCOUNTS[:3]
PIN = ChainPin(31337, "0x" + "00" * 32, MARKET, "0x" + "11" * 32)


@dataclass
class Chain:
    """The operator's node."""

    story: list[MarketEvent] = field(default_factory=list)
    built: list[BuiltBlock] = field(default_factory=list)
    newest: int = 100
    asked: list[Any] = field(default_factory=list)

    def chain_id(self) -> int:
        return PIN.chain_id

    def genesis_hash(self) -> str:
        return PIN.genesis_hash

    def code_hash(self, _address: str) -> str:
        return PIN.code_hash

    def head(self) -> Head:
        return Head(self.newest, "0x12", 1000 + self.newest)

    def settlement(self, _contract: str) -> Settlement:
        return Settlement("Rial", "IRR", 3)

    def events(self, contract: str, wanted: Wanted, first_block: int, last_block: int) -> list[MarketEvent]:
        self.asked.append((contract, wanted, first_block, last_block))
        return [event for event in self.story if type(event) in wanted.kinds]

    def headers(self, first_block: int, last_block: int) -> list[BuiltBlock]:
        self.asked.append((first_block, last_block))
        return [block for block in self.built if first_block <= block.number <= last_block]


class Files:
    """The deployment files."""

    def load(self, _chain_id: int) -> Deployed:
        return Deployed(PIN, 7, Roles("", "", ""), None)

    def path(self, _chain_id: int) -> Path:
        raise AssertionError("nothing is written")

    def save(self, deployed: Deployed) -> None:
        raise AssertionError(f"nothing is written, not {deployed}")


STORY: list[MarketEvent] = [
    Enrolled(place(8), A, 1, 2, 3, 4, area_hash="0x" + "01" * 32),
    Offered(place(10), Order(A, 5, 12_000, 7_500, 9_000)),
    Traded(place(20), Trade(1, A, B, 5, 1_500, 11_250, 1_500, 1020)),
]


def told(chain: Chain, selection: Selection = Selection(), *, only_open: bool = False) -> Any:  # noqa: ANN401, B008 - JSON and text; frozen
    return trades(chain, Files(), selection, only_open=only_open)  # type: ignore[arg-type] # the parts that are used


def test_a_trade_is_shown_with_all_fields_of_table_8() -> None:
    chain = Chain(STORY)
    answer = told(chain)
    assert answer.told["trades"] == [
        {
            "contractId": 1,
            "seller": A,
            "buyer": B,
            "order": 5,
            "energyWh": 1500,
            "priceWei": 11_250,
            "serviceCostWei": 1500,
            "time": 1020,
            "block": 20,
            "transaction": place(20).tx_hash,
        }
    ]
    assert answer.told["orders"] == [
        {"seller": A, "order": 5, "energyWh": 10_500, "priceWeiPerKWh": 7_500, "expiresAt": 9_000}
    ]
    history = str(answer).partition("Trades: 1\n")[2].splitlines()
    assert history[0].split() == ["contract", "time", "seller", "buyer", "order", "energy", "price", "service", "cost"]
    assert history[1].split() == [
        *("1", "1970-01-01", "00:17:00Z", A, B, "5"),
        *("1.500", "kWh", "11.25", "IRR", "1.5", "IRR"),
    ]
    assert "10.500 kWh  7.5 IRR/kWh" in str(answer)


def test_everything_since_the_market_was_made_is_asked_for_and_enrolments_only_for_an_area() -> None:
    chain = Chain(STORY)
    told(chain)
    told(chain, Selection(area="0x" + "01" * 32))
    (contract, wanted, first, last), (_, with_area, *_) = chain.asked
    assert (contract, first, last, wanted.account) == (MARKET, 7, 100, None)
    assert Enrolled not in wanted.kinds
    assert Enrolled in with_area.kinds


def test_an_end_before_the_beginning_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trades", "--node", "http://127.0.0.1:1", "--since", "2026-11-26", "--until", "2026-11-25"])

    assert ended.value.code == 2
    assert "--until is before --since" in capsys.readouterr().err


def test_open_orders_alone_leave_the_history_out() -> None:
    answer = told(Chain(STORY), only_open=True)
    assert "trades" not in answer.told
    assert "Trades" not in str(answer)
    assert str(told(Chain())) == "Open orders: 0\n\nTrades: 0"


def turns(producers: str, origin: Origin = Origin.STATED) -> list[BuiltBlock]:
    peers = sorted(ACCOUNTS, key=str.lower)
    return [
        BuiltBlock(place, 1000 + 5 * place, peers["abcd".index(letter)], origin)
        for place, letter in enumerate(producers, 1)
    ]


def looked(chain: Chain, blocks: int = 1000) -> Any:  # noqa: ANN401 - JSON and text
    return inspect(chain, blocks)  # type: ignore[arg-type] # the parts that are used


def test_producers_are_shown_with_what_was_assumed() -> None:
    answer = looked(Chain(built=turns("abcabcacabc"), newest=11))
    assert [share["missedTurns"] for share in answer.told["producers"]] == [0, 0, 1]
    assert [share["sharePercent"] for share in answer.told["producers"]] == [36.4, 36.4, 27.3]
    assert answer.told["intervals"] == {"shortestS": 5, "medianS": 5, "longestS": 5, "fixedS": 5}
    text = str(answer)
    assert "Producers: stated by the headers, and not proven here." in text
    assert "Turns: assumed: producers take turns in the order of their addresses" in text
    assert "5 s at least, 5 s in the middle, 5 s at most; one every 5 s" in text
    assert "Blocks 1 to 11 (11)" in text


def test_sealed_and_stated_producers_are_told_apart() -> None:
    assert "recovered from the seals in the headers" in str(looked(Chain(built=turns("ab", Origin.SEALED), newest=2)))


@pytest.mark.parametrize(("newest", "blocks", "first"), [(100, 10, 91), (5, 10, 1), (0, 10, 1)])
def test_the_newest_blocks_are_looked_at_without_the_first_of_all(newest: int, blocks: int, first: int) -> None:
    chain = Chain(newest=newest)
    assert str(looked(chain, blocks)) == "This chain has no block but its first."
    assert chain.asked == [(first, newest)]


@pytest.mark.parametrize("blocks", ["0", "100001", "many"])
def test_a_number_of_blocks_that_is_none_is_misuse(blocks: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["consensus", "--node", "http://127.0.0.1:1", "--blocks", blocks])
    assert ended.value.code == 2
    assert "blocks" in capsys.readouterr().err


def test_neither_command_asks_for_a_key() -> None:
    for command in ("trades", "consensus"):
        asked = parser().parse_args([command, "--node", "http://127.0.0.1:1"])
        assert "keystore" not in vars(asked)


def test_a_household_and_a_time_are_read() -> None:
    asked = parser().parse_args(
        ["trades", "--node", "n", "--household", C.lower(), "--since", "2026-03-21", "--until", "1774052000"]
    )
    assert (asked.household, asked.since, asked.until) == (C, 1_774_051_200, 1_774_052_000)
