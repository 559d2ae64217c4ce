"""What a sealed block says of the household, and what the market keeps of its orders, is believed by proof alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agent.adapters.market_logs import MarketLogs
from agent.compose.pins import order_layout
from agent.domain.attested import OrderWord, ProvenBlock
from agent.domain.errors import NodeUnavailable
from agent.domain.market_events import MarketEvent, Offered, ReadingBooked, Redeemed, TariffSet, Traded
from agent.domain.orders import PLACES, Order, Trade
from agent.domain.readings import Reading
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.seals import Rules
from agent.proving.attesting import Attestor
from contracts import load_artifact
from tests.fakes.consortium import addresses, keys
from tests.fakes.logs import ACCOUNTS, log_of, transfer_of
from tests.fakes.market_teller import TOLD, Change, Market, MarketTeller, logs_of, place
from tests.fakes.recorded import raw
from tests.fakes.rewriting import another_digit, at, paths, put

US, OTHER, THIRD = ACCOUNTS[:3]
LAYOUT = order_layout()
BLOCK, LAST = 4, 12
SEALED = [Consensus.QBFT, Consensus.IBFT2, Consensus.CLIQUE]


def trade(index: int, transaction: int, number: int, wh: int, *, seller: str = US, buyer: str = OTHER) -> Traded:
    where = place(BLOCK, transaction, index)
    return Traded(where, Trade(index, seller, buyer, number, wh, 2 * wh, 10, where.at))


# Three transactions: somebody else's trade and a transfer, two sales of ours with a reading, and the tariff.
SOLD, SOLD_TOO = trade(2, 1, 7, 600), trade(4, 1, 9, 50)
BOOKED = ReadingBooked(place(BLOCK, 1, 3), Reading(US, 1, 2, 1_030, 5, 6))
TARIFF = TariffSet(place(BLOCK, 2, 6), 1_000, 9_000)
OTHERS = Redeemed(place(BLOCK, 2, 5), THIRD, 9)
EVENTS: tuple[MarketEvent, ...] = (SOLD, BOOKED, SOLD_TOO, TARIFF)
LOGS: list[list[dict[str, Any]]] = [
    [*logs_of([trade(0, 0, 1, 5, seller=THIRD)]), {**transfer_of(BLOCK, 1), "address": TOLD["contract"]}],
    logs_of([SOLD, BOOKED, SOLD_TOO]),
    logs_of([OTHERS, TARIFF]),
]
WORDS = {7: (250, 7), 9: (0, 9 + PLACES), 200: (1, 200)}


def word(left_wh: int, number: int) -> int:
    return left_wh | (9_999 << 40) | (2_000 << 72) | (number << 152)


@dataclass
class World:
    """An attestor, and everything that it is handed."""

    market: Market
    tellers: list[MarketTeller]
    pins: Pins
    lies: list[tuple[str, str]] = field(default_factory=list)
    now: float = 1_000.0
    known_from: int = 0

    def sources(self) -> list[MarketTeller]:
        caught = {name for name, _ in self.lies}
        return [teller for teller in self.tellers if teller.name not in caught]

    def caught(self, name: str, why: str, _told: object) -> None:
        self.lies.append((name, why))

    def attestor(self) -> Attestor:
        @dataclass
        class Following:
            world: World

            def pins(self, _block: int | None = None) -> Pins:
                return self.world.pins

            def knows(self, blocks: Iterable[int]) -> bool:
                return all(block >= self.world.known_from for block in blocks)

            def catch_up(self, _source: object) -> None:
                return

        return Attestor(
            household=US,
            nodes=self,
            following=Following(self),
            codec=MarketLogs(load_artifact().abi, TOLD["contract"]),
            layout=LAYOUT,
            monotonic=lambda: self.now,
            random=lambda: 0.5,
        )


def world(consensus: Consensus = Consensus.CLIQUE, nodes: int = 2) -> World:
    words = {LAYOUT.key(raw(US), number): word(*held) for number, held in WORDS.items()}
    market = Market(consensus, {BLOCK: LOGS}, words, LAST)
    return World(market, [MarketTeller(f"node-{one}", market) for one in range(nodes)], market.pins)


@pytest.mark.parametrize("consensus", SEALED)
def test_a_block_tells_all_of_the_households_events_with_their_places(consensus: Consensus) -> None:
    there = world(consensus)
    proven = there.attestor().events(BLOCK)
    named = "0x" + there.market.chain.hash_of(BLOCK).hex()
    assert proven == ProvenBlock(BLOCK, named, EVENTS)
    assert proven.receipts == (SOLD, SOLD_TOO, TARIFF)
    assert there.tellers[1].asked == []
    assert not {US.lower()[2:], SOLD.place.tx_hash} & {
        str(one).lower() for _, told in there.tellers[0].asked for one in told
    }


def test_a_block_in_which_nothing_of_ours_happened_is_proven_to_be_so() -> None:
    proven = world().attestor().events(BLOCK + 1)
    assert proven is not None
    assert proven.events == ()


def test_another_contracts_logs_are_no_events() -> None:
    there = world()
    other = Offered(place(BLOCK, 0, 0), Order(US, 3, 5, 6, 7))
    there.market = Market(Consensus.CLIQUE, {BLOCK: [[log_of(other, "0x" + "77" * 20)]]}, {}, LAST)
    there.tellers[:], there.pins = [MarketTeller("node-0", there.market)], there.market.pins
    proven = there.attestor().events(BLOCK)
    assert proven is not None
    assert proven.events == ()


@pytest.mark.parametrize("consensus", SEALED)
def test_what_is_left_of_orders_is_proven(consensus: Consensus) -> None:
    there = world(consensus)
    proven = there.attestor().orders([7, 8, 9], 10)
    assert proven is not None
    assert (proven.block, proven.block_hash) == (10, "0x" + there.market.chain.hash_of(10).hex())
    assert proven.words == {7: OrderWord(7, 250), 8: OrderWord(0, 0), 9: OrderWord(9 + PLACES, 0)}
    assert [proven.left_wh(number) for number in (7, 8, 9)] == [250, None, 0]


def test_a_seller_with_many_orders_is_asked_about_in_parts() -> None:
    there = world()
    proven = there.attestor().orders(range(40), 10)
    assert proven is not None
    assert len(proven.words) == 40
    asked = [len(params[1]) for method, params in there.tellers[0].asked if method == "eth_getProof"]
    assert asked == [16, 16, 8]
    keys_asked = [
        int(key, 16) for method, told in there.tellers[0].asked if method == "eth_getProof" for key in told[1]
    ]
    assert {(key - (1 << 240)) >> 8 for key in keys_asked} == {int(US, 16)}, "of nobody else's places"


def test_years_of_orders_that_nobody_proves_are_asked_about_by_their_places() -> None:
    there = world()
    proven = there.attestor().orders(range(9, 9 + 20 * PLACES), 10)
    assert proven is not None
    assert proven.words[9 + PLACES] == proven.words[9 + 7 * PLACES] == OrderWord(9 + PLACES, 0)
    assert len([method for method, _ in there.tellers[0].asked if method == "eth_getProof"]) == PLACES // 16


def each_slot_once(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    """As Besu tells them: by key, whatever the order in which they were asked for."""
    if method == "eth_getProof":
        answer["storageProof"] = [
            proof for _, proof in sorted({one["key"]: one for one in answer["storageProof"]}.items())
        ]
    return answer


def test_a_node_that_tells_slots_by_their_keys_and_each_once_is_no_liar() -> None:
    there = world(nodes=1)
    there.tellers[0].rewrite = each_slot_once
    proven = there.attestor().orders([200, 9, 7, 9 + PLACES], 10)
    assert there.lies == []
    assert proven is not None
    assert proven.words == {
        200: OrderWord(200, 1),
        9: OrderWord(9 + PLACES, 0),
        7: OrderWord(7, 250),
        9 + PLACES: OrderWord(9 + PLACES, 0),
    }


def without_a_log(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    """A sale is left out of its receipt."""
    if method == "eth_getBlockReceipts" and answer:
        answer[1]["logs"].pop(0)
    return answer


def another_price(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    if method == "eth_getBlockReceipts" and answer:
        told = answer[1]["logs"][0]
        told["data"] = log_of(replace(SOLD, trade=replace(SOLD.trade, price_wei=1)), TOLD["contract"])["data"]
    return answer


def without_a_transaction(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    if method == "eth_getBlockByHash":
        answer["transactions"].pop(1)
    if method == "eth_getBlockReceipts":
        answer.pop(1)
    return answer


def another_transaction(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    """The sale is told to be of another transaction, which is one by itself."""
    if method == "eth_getBlockByHash":
        answer["transactions"][1] = answer["transactions"][0]
    return answer


def one_sale_more(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
    if method == "eth_getBlockReceipts" and answer:
        answer[1]["logs"].append(answer[1]["logs"][0])
    return answer


@pytest.mark.parametrize(
    "lie", [without_a_log, another_price, without_a_transaction, another_transaction, one_sale_more]
)
@pytest.mark.parametrize("consensus", SEALED)
def test_a_liar_proves_nothing_is_put_aside_and_the_next_one_is_asked(consensus: Consensus, lie: Change) -> None:
    there = world(consensus)
    there.tellers[0].rewrite = lie
    proven = there.attestor().events(BLOCK)
    assert proven is not None
    assert proven.events == EVENTS
    assert [name for name, _ in there.lies] == ["node-0"]


@pytest.mark.parametrize("consensus", SEALED)
def test_where_everybody_lies_nothing_is_proven(consensus: Consensus) -> None:
    there = world(consensus)
    for teller in there.tellers:
        teller.rewrite = without_a_log
    assert there.attestor().events(BLOCK) is None
    assert [name for name, _ in there.lies] == ["node-0", "node-1"]


UNREAD = {
    *("blockHash", "blockNumber", "blockTimestamp", "from", "transactionIndex", "chainId"),
    *("logIndex", "removed", "transactionHash", "yParity", "v", "gasPrice"),
    "key",
}


@pytest.mark.parametrize("asks", ["events", "orders"])
@pytest.mark.parametrize("consensus", [Consensus.QBFT, Consensus.CLIQUE])
def test_each_digit_of_each_answer_is_proven_or_not_looked_at(consensus: Consensus, asks: str) -> None:
    there = world(consensus, nodes=1)
    teller = there.tellers[0]

    def proven() -> object:
        there.lies.clear()
        found = there.attestor()
        return found.events(BLOCK) if asks == "events" else found.orders([7, 8, 9], 10)

    true, looked_at = proven(), 0
    answers = [(one, copied(teller, *one)) for one in {str(one): one for one in teller.asked}.values()]
    for asked, answer in answers:
        for path in paths(answer):
            old = at(answer, path)
            if not isinstance(old, str) or len(old) < 3 or {one for one in path if isinstance(one, str)} & UNREAD:
                continue
            changed = put(answer, path, another_digit(old, len(old) - 1))
            teller.rewrite = said_instead(asked, changed)
            found = proven()
            assert found in {None, true} if isinstance(true, ProvenBlock) else found in (None, true), (asked, path)
            looked_at += found is None
    assert looked_at > 20, looked_at


def copied(teller: MarketTeller, method: str, params: list[Any]) -> Any:  # noqa: ANN401 - JSON
    return teller.call(method, params)


def said_instead(asked: tuple[str, list[Any]], changed: object) -> Change:
    return lambda method, params, answer: changed if (method, params) == asked else answer


def test_a_state_that_is_no_longer_kept_is_no_lie() -> None:
    there = world(nodes=1)
    there.market.blocks = 100
    assert there.attestor().orders([7], 10) is None
    assert there.lies == []


def test_who_keeps_no_index_of_old_transactions_is_no_liar() -> None:
    def refused(method: str, _params: list[Any], answer: Any) -> Any:  # noqa: ANN401 - JSON
        if method == "eth_getBlockReceipts":
            raise NodeUnavailable("no answer within 8 s")
        return answer

    there = world(nodes=1)
    there.tellers[0].rewrite = refused
    assert there.attestor().events(BLOCK) is None
    assert there.lies == []


def test_a_block_that_others_sealed_than_are_known_is_proven_by_nobody_and_no_lie_where_that_is_not_known() -> None:
    there = world(nodes=1)
    strangers = addresses(keys(4, offset=50))
    there.pins = replace(there.pins, place=replace(there.pins.place, validators=strangers))
    there.known_from = BLOCK + 1
    assert there.attestor().events(BLOCK) is None
    assert there.lies == []


def test_a_clique_block_that_too_few_build_on_is_not_proven_yet() -> None:
    there = world(Consensus.CLIQUE, nodes=1)
    assert there.attestor().events(LAST) is None
    assert there.attestor().events(LAST - 2) is not None
    assert there.lies == []


def test_a_chain_that_nobody_seals_proves_nothing() -> None:
    there = world(nodes=1)
    rules = Rules(Consensus.UNSEALED)
    there.pins = replace(there.pins, rules=rules, place=replace(there.pins.place, validators=()))
    assert there.attestor().events(BLOCK) is None
    assert there.attestor().orders([7], 10) is None
    assert there.lies == []


def test_who_fails_is_left_alone_for_a_while() -> None:
    there = world(nodes=1)
    attestor = there.attestor()
    assert attestor.events(LAST) is None
    asked = len(there.tellers[0].asked)
    with pytest.raises(NodeUnavailable, match="may be asked"):
        attestor.events(BLOCK)
    assert len(there.tellers[0].asked) == asked
    there.now += 3
    assert attestor.events(BLOCK) is not None


def test_who_does_not_prove_a_block_is_asked_for_orders_all_the_same() -> None:
    there = world(nodes=1)
    attestor = there.attestor()
    assert attestor.events(LAST) is None
    assert attestor.orders([7], 10) is not None


def test_the_slow_ones_before_it_are_no_fault_of_a_node() -> None:
    there = world()
    attestor = there.attestor()

    def silent(_method: str, _params: list[Any], _answer: Any) -> Any:  # noqa: ANN401 - JSON
        there.now += 16
        raise NodeUnavailable("no answer within 16 s")

    there.tellers[0].rewrite = silent
    assert attestor.events(BLOCK) is None
    there.tellers[0].rewrite = MarketTeller("node-0", there.market).rewrite
    assert there.tellers[1].asked == []
    assert attestor.events(BLOCK) is not None


def test_what_the_word_says_is_what_the_contract_packs() -> None:
    assert LAYOUT.key(raw(US), 7 + 256) == LAYOUT.key(raw(US), 7) == (1 << 240) + int(US, 16) * 256 + 7
    assert LAYOUT.unpack(word(123, 456)) == OrderWord(456, 123)
    assert LAYOUT.unpack(0) == OrderWord(0, 0)
