"""Newest blocks of a sealed chain: a node can show an old one, and nothing else that is not so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey

from agent.compose.proving import head_check_by
from agent.domain.errors import BadEvidence, NodeUnavailable, UnknownSealer
from agent.light.headers import Consensus, Header, block_hash
from agent.light.seals import Place, Rules
from agent.proving.heads import head_check
from tests.fakes.chain_source import pins_at
from tests.fakes.consortium import NOBODY, Consortium, address, addresses, keys
from tests.fakes.telling import told_header
from tests.unit.node_script import BEGAN_AT, ENTRY, PIN, House

STRANGER = PrivateKey(b"\x77" * 32)
SEALED = [Consensus.CLIQUE, Consensus.QBFT, Consensus.IBFT2]
EPOCH = 50
MINUTE_BLOCKS = 12  # of five seconds


class Street:
    """Nodes of a sealed chain, and a household that knows who may seal it."""

    def __init__(self, consensus: Consensus, nodes: int, blocks: int = 20) -> None:
        self.chain = Consortium(Rules(consensus, EPOCH), keys(4))
        for _ in range(blocks):
            self.chain.seal()
        self.known = list(self.chain.validators)
        self.house = House(nodes, check_head=head_check(lambda: self.known, self.chain.rules))
        self.pool = self.house.pool
        self.shown: dict[int, Callable[[], dict[str, Any]]] = {}
        for node, rpc in enumerate(self.house.rpcs):
            rpc.special["eth_getBlockByNumber"] = partial(self.tell, node)

    def tell(self, node: int, params: list[object]) -> object:
        if params[0] == "0x0":
            return {"number": "0x0", "hash": PIN.genesis_hash, "timestamp": "0x0"}
        return self.shown[node]() if node in self.shown else self.told(self.chain.headers[-1])

    def told(self, header: Header) -> dict[str, Any]:
        return told_header(header, block_hash(header, self.chain.rules.consensus))

    def shows(self, node: int, header: Header) -> None:
        self.shown[node] = lambda: self.told(header)

    def used(self) -> list[str]:
        return sorted(status.name for status in self.pool.statuses() if status.ok)

    def sources(self) -> list[str]:
        return sorted(node.name for node in self.pool.sources())


@pytest.fixture(params=SEALED)
def street(request: pytest.FixtureRequest) -> Street:
    return Street(request.param, 2)


def test_a_sealed_head_is_used(street: Street) -> None:
    assert street.used() == ["n0", "n1"]
    assert street.pool.head().number == 20
    assert street.pool.strangers == []
    assert street.house.log.said == []


CHANGES: dict[str, str] = {
    "parentHash": "0x" + "01" * 32, "sha3Uncles": "0x" + "01" * 32, "miner": "0x" + "01" * 20,
    "stateRoot": "0x" + "01" * 32, "transactionsRoot": "0x" + "01" * 32, "receiptsRoot": "0x" + "01" * 32,
    "logsBloom": "0x" + "01" * 256, "difficulty": "0x9", "number": "0x4c4b40", "gasLimit": "0x1", "gasUsed": "0x1",
    "timestamp": "0x6b49d200", "extraData": "0x" + "01" * 97, "mixHash": "0x" + "01" * 32, "nonce": "0x" + "01" * 8,
    "baseFeePerGas": "0x1", "hash": "0x" + "01" * 32,
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_a_head_with_any_field_changed_is_a_lie_and_what_was_told_is_kept(street: Street, field: str) -> None:
    street.shown[0] = lambda: {**street.told(street.chain.headers[-1]), field: CHANGES[field]}

    assert street.used() == ["n1"]
    assert street.sources() == ["n1"]
    assert street.house.log.events() == ["node.lied n0"]
    assert f'"{field}":"{CHANGES[field]}"' in street.house.kept[0].told


@pytest.mark.parametrize("field", [name for name in CHANGES if name not in {"hash", "baseFeePerGas"}])
def test_a_head_with_any_field_left_out_is_a_lie(street: Street, field: str) -> None:
    def without() -> dict[str, Any]:
        told = street.told(street.chain.headers[-1])
        if field not in {"number", "timestamp"}:  # without these it is no answer at all
            del told[field]
        return told if len(told) < len(street.told(street.chain.headers[-1])) else {**told, field: "0x0"}

    street.shown[0] = without
    assert street.used() == ["n1"]
    assert street.house.log.events() == ["node.lied n0"]


def test_a_node_that_was_pointed_at_another_chain_meanwhile_is_no_liar(street: Street) -> None:
    assert street.used() == ["n0", "n1"]
    street.house.rpcs[0].special["eth_chainId"] = lambda _params: "0x5"
    street.shown[0] = lambda: {**street.told(street.chain.headers[-1]), "parentBeaconBlockRoot": "0x" + "01" * 32}

    assert street.used() == ["n1"]
    assert street.house.log.events() == ["node.wrong_chain n0"]
    assert street.house.kept == []


def test_an_invented_number_with_a_hash_of_its_own_finds_nobody_who_sealed_it(street: Street) -> None:
    street.shows(0, replace(street.chain.headers[-1], number=1_000_001))

    assert street.used() == ["n1"]
    assert street.pool.head().number == 20
    assert street.pool.sight(ENTRY).agreeing == 1


def test_whoever_is_sealed_by_a_stranger_is_asked_for_headers_only_until_the_stranger_is_known(
    street: Street,
) -> None:
    chain = street.chain
    chain.sealers = sorted([*chain.sealers, STRANGER], key=address)  # voted in, and this house does not know it yet
    chain.seal(*([STRANGER] if chain.rules.consensus is Consensus.CLIQUE else chain.sealers))
    street.shows(1, chain.headers[20])

    assert street.used() == ["n1"]
    assert street.sources() == ["n0", "n1"]
    assert street.pool.strangers == ["n0"]
    strange = {status.name: status.strange for status in street.pool.statuses()}
    assert strange == {"n0": True, "n1": False}
    problem = next(status.problem for status in street.pool.statuses() if status.name == "n0")
    assert "the chain's votes are being followed" in str(problem)
    assert street.house.kept == street.house.log.said == [], "it may be no lie"

    street.known[:] = addresses(chain.sealers)
    street.house.later(11)
    del street.shown[1]
    assert street.used() == ["n0", "n1"]
    street.house.later(60)
    assert street.used() == ["n0", "n1"]
    assert street.pool.strangers == []
    assert street.house.log.said == []


def test_a_stranger_whose_block_was_the_newest_only_for_a_moment_is_still_followed(street: Street) -> None:
    street.shows(0, replace(street.chain.headers[-1], number=1_000_001))
    assert street.used() == ["n1"]
    del street.shown[0]
    street.house.later(11)
    assert street.used() == ["n0", "n1"], "a known validator sealed upon it"
    assert {status.strange for status in street.pool.statuses()} == {False}

    street.house.later(40)
    assert street.pool.strangers == ["n0"], "whoever follows votes looks twice a minute"

    street.house.later(10)
    assert street.pool.strangers == []


def test_a_command_beside_the_agent_does_not_say_that_it_follows_the_votes(street: Street) -> None:
    header = street.chain.headers[20]
    strangers = addresses(keys(4, offset=50))
    check = head_check_by(pins_at(Place(0, street.chain.hash_of(0), strangers), street.chain.rules))
    assert check is not None
    with pytest.raises(UnknownSealer, match="the agent follows the chain's votes while it runs"):
        check(street.told(header))


def test_a_stranger_who_stays_is_told_of_after_minutes(street: Street) -> None:
    street.known[:] = addresses(keys(4, offset=50))
    for _ in range(40):
        with pytest.raises(NodeUnavailable, match="the chain's votes are being followed"):
            street.pool.balance()
        street.house.later(11)
    assert sorted(street.house.log.events()) == ["node.lost n0", "node.lost n1"]
    assert street.house.kept == []


def test_a_stranger_who_stays_costs_no_headers_for_ever(street: Street) -> None:
    street.shows(0, replace(street.chain.headers[-1], number=1_000_001))
    for minute in range(90):
        street.pool.balance()
        assert street.pool.strangers == (["n0"] if minute < 60 else [])
        street.house.later(60)
    assert street.sources() == ["n0", "n1"], "and it may still prove who it is"


def test_a_node_that_falls_silent_has_no_unknown_sealer_any_more(street: Street) -> None:
    street.shows(0, replace(street.chain.headers[-1], number=1_000_001))
    assert street.used() == ["n1"]
    assert street.pool.strangers == ["n0"]
    street.house.rpcs[0].fault = NodeUnavailable("no answer in time")
    street.house.later(11)
    street.pool.balance()
    assert street.pool.strangers == []


def test_transactions_still_go_to_a_node_whose_sealer_is_not_known(street: Street) -> None:
    street.shows(0, replace(street.chain.headers[-1], number=1_000_001))
    assert street.pool.broadcast(b"\x02signed")
    assert street.house.rpcs[0].asked["eth_sendRawTransaction"] == 1


@pytest.mark.parametrize("consensus", [Consensus.QBFT, Consensus.IBFT2])
def test_a_block_that_too_few_sealed_is_a_lie(consensus: Consensus) -> None:
    street = Street(consensus, 2)
    street.chain.seal(*street.chain.sealers[:2])
    street.shows(1, street.chain.headers[20])

    assert street.used() == ["n1"]
    assert street.house.log.events() == ["node.lied n0"]
    assert "2 seals, where 3 to 4 belong" in street.house.kept[0].why


@pytest.mark.parametrize("consensus", SEALED)
def test_two_nodes_that_show_an_old_head_for_ever_do_not_put_out_the_one_with_the_new(consensus: Consensus) -> None:
    street = Street(consensus, 3, blocks=20)
    for node in (0, 2):
        street.shows(node, street.chain.headers[20])
    assert street.used() == ["n0", "n1", "n2"]
    for _ in range(3 * MINUTE_BLOCKS):
        street.chain.seal()
        street.house.later(5)
    assert street.used() == ["n1"]
    assert street.pool.head().number == 20 + 3 * MINUTE_BLOCKS
    assert street.pool.sight(ENTRY).head == 20 + 3 * MINUTE_BLOCKS
    assert "blocks behind" in str(street.house.log.said[-1][1]["problem"])


@pytest.mark.parametrize("ahead_s", [0, 86_400])
def test_one_validators_key_in_wrong_hands_puts_out_no_node(ahead_s: int) -> None:
    """It can seal any number and any time; the others' blocks are of now, so that theirs is no older by the clock."""
    street = Street(Consensus.CLIQUE, 3, blocks=10)
    for _ in range(2):  # as new as the household's clock, which reads 1.8e9
        street.chain.seal(timestamp=BEGAN_AT - 5)
    forged = Consortium(street.chain.rules, street.chain.sealers)
    forged.headers = [forged.bare(0, bytes(32))] * 501
    forged.seal(timestamp=BEGAN_AT + ahead_s)
    street.shows(0, forged.headers[-1])

    assert street.used() == ["n1", "n2"]


def test_without_seals_one_node_far_ahead_is_not_believed() -> None:
    house = House(3)
    house.rpcs[0].head = 1_000_000
    assert sorted(status.name for status in house.pool.statuses() if status.ok) == ["n1", "n2"]


def test_a_chain_that_nobody_seals_is_hashed() -> None:
    rules = Rules(Consensus.UNSEALED)
    chain = Consortium(rules, keys(1))
    header = chain.bare(7, bytes(32))
    check = head_check(tuple, rules)

    check(told_header(header, block_hash(header, rules.consensus)))
    with pytest.raises(BadEvidence, match="hashes to"):
        check(told_header(replace(header, gas_used=5), block_hash(header, rules.consensus)))


def test_nobody_seals_block_0(street: Street) -> None:
    head_check(lambda: street.known, street.chain.rules)(street.told(street.chain.headers[0]))


@pytest.mark.parametrize("consensus", SEALED)
def test_a_checkpoint_is_a_head_like_others_and_who_lists_others_is_not_known(consensus: Consensus) -> None:
    street = Street(consensus, 1, blocks=EPOCH)
    check = head_check(lambda: street.known, street.chain.rules)
    check(street.told(street.chain.headers[EPOCH]))
    street.known.remove(address(street.chain.sealers[0]))
    with pytest.raises(UnknownSealer):
        check(street.told(street.chain.headers[EPOCH]))


def test_an_epoch_that_is_pinned_wrongly_makes_no_node_a_liar() -> None:
    street = Street(Consensus.CLIQUE, 2, blocks=EPOCH)
    street.house = House(2, check_head=head_check(lambda: street.known, Rules(Consensus.CLIQUE, EPOCH + 1)))
    for rpc in street.house.rpcs:
        rpc.special["eth_getBlockByNumber"] = partial(street.tell, 0)

    statuses = street.house.pool.statuses()

    assert [status.ok for status in statuses] == [False, False]
    assert all("chain.epoch, 51, is not this chain's" in status.problem for status in statuses)
    assert not any(name == "node.lied" for name, _ in street.house.log.said)


def test_a_clique_signer_that_was_voted_out_unseen_makes_no_liar_of_who_stays() -> None:
    street = Street(Consensus.CLIQUE, 1)
    street.chain.sealers.pop()
    header = street.chain.seal()
    assert header.miner == NOBODY
    head_check(lambda: street.known, street.chain.rules)(street.told(header))
