"""The pool over scripted nodes: who is used, what they say together, and what the log is told."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from agent.adapters.node_faults import RpcRefused
from agent.domain.errors import NodeUnavailable, NotYet, Rejected
from agent.domain.fees import FeeQuote
from agent.domain.outbox import Inclusion, Sighting, State
from tests.unit.node_script import CONTRACT, ENTRY, NOPE, PAUSED, RAW, TX, House, reverting


def test_the_own_area_comes_first() -> None:
    assert [status.name for status in House(3).pool.statuses()] == ["n1", "n0", "n2"]


def test_a_node_is_identified_before_it_is_asked() -> None:
    house = House(1)
    assert house.pool.pending_nonce() == 5
    assert house.rpcs[0].asked["eth_getCode"] == 1
    house.pool.pending_nonce()
    assert house.rpcs[0].asked["eth_getCode"] == 1
    house.later(400)
    house.pool.pending_nonce()
    assert house.rpcs[0].asked["eth_getCode"] == 2


def test_a_node_is_identified_again_after_a_failure() -> None:
    house = House(1)
    house.pool.pending_nonce()
    house.rpcs[0].fault = NodeUnavailable("no answer in time")
    with pytest.raises(NodeUnavailable, match="n0: no answer in time"):
        house.pool.balance()
    house.rpcs[0].fault = None
    house.later(5)
    house.pool.balance()
    assert house.rpcs[0].asked["eth_getCode"] == 2


@pytest.mark.parametrize("wrong", ["chain", "code", "genesis"])
def test_a_node_on_another_chain_gets_no_transaction(wrong: str) -> None:
    house = House(2)
    if wrong == "chain":
        house.rpcs[0].chain_id = 1
    elif wrong == "code":
        house.rpcs[0].code = b"\x00"
    else:
        house.rpcs[0].genesis = "0x" + "99" * 32
    assert house.pool.broadcast(RAW)
    assert (house.rpcs[0].pool, house.rpcs[1].pool) == (set(), {TX})
    assert house.log.events() == ["node.wrong_chain n0"]


def test_a_chain_id_that_changes_while_running_stops_signing_and_sending() -> None:
    house = House(2)
    house.pool.pending_nonce()
    for rpc in house.rpcs:
        rpc.chain_id = 5
    with pytest.raises(NodeUnavailable, match="chain id is 5, the pinned one is 31337"):
        house.pool.pending_nonce()
    with pytest.raises(NodeUnavailable):
        house.pool.broadcast(RAW)
    assert all(rpc.asked["eth_sendRawTransaction"] == 0 for rpc in house.rpcs)
    assert sorted(house.log.events()) == ["node.wrong_chain n0", "node.wrong_chain n1"]


def test_a_chain_id_that_changes_between_signing_and_sending_stops_sending() -> None:
    house = House(1)
    house.pool.pending_nonce()
    house.rpcs[0].chain_id = 5
    with pytest.raises(NodeUnavailable):
        house.pool.broadcast(RAW)
    assert house.rpcs[0].asked["eth_sendRawTransaction"] == 0


def test_one_line_when_a_node_is_lost_and_one_when_it_is_back() -> None:
    house = House(2)
    house.pool.balance()
    house.rpcs[0].fault = NodeUnavailable("no answer in time")
    for _ in range(30):
        house.pool.balance()
        house.later(7)
    house.rpcs[0].fault = None
    house.later(100)
    house.pool.balance()
    assert house.log.events() == ["node.lost n0", "node.back n0"]
    assert house.log.said[0][1]["problem"] == "no answer in time"
    assert "address" in str(house.log.said[0][1]["advice"])


def test_a_node_that_comes_and_goes_is_told_of_rarely() -> None:
    house = House(2)
    for turn in range(20):
        house.rpcs[0].fault = NodeUnavailable("refused") if turn % 2 else None
        house.later(12)
        house.pool.balance()
    assert house.log.events() == ["node.lost n0", "node.back n0"]


def test_a_lost_node_is_left_alone_ever_longer() -> None:
    house = House(2)
    house.rpcs[0].fault = NodeUnavailable("refused")
    for _ in range(600):
        house.pool.balance()
        house.later(1)
    assert 8 <= house.rpcs[0].asked["eth_chainId"] <= 25


def test_a_silent_node_does_not_delay_the_acceptance_by_another() -> None:
    house = House(2, grace_s=0.05)
    house.pool.balance()
    house.rpcs[0].held = threading.Event()
    assert house.pool.broadcast(RAW)
    assert house.rpcs[1].pool == {TX}
    house.rpcs[0].held.set()


def test_a_node_beyond_the_deadline_is_lost() -> None:
    house = House(1, deadline_s=0.05)
    house.rpcs[0].held = threading.Event()
    with pytest.raises(NodeUnavailable, match="no answer within"):
        house.pool.balance()
    house.rpcs[0].held.set()
    assert house.log.events() == ["node.lost n0"]


def test_all_that_can_be_reached_get_the_same_bytes_also_those_behind() -> None:
    house = House(3)
    house.rpcs[2].head = 50
    assert house.pool.broadcast(RAW)
    assert [rpc.asked["eth_sendRawTransaction"] for rpc in house.rpcs] == [1, 1, 1]
    assert house.log.events() == ["node.lost n2"]
    assert "50 blocks behind" in str(house.log.said[0][1]["problem"])


def test_a_refused_send_is_looked_up() -> None:
    house = House(1)
    house.rpcs[0].takes = False
    assert not house.pool.broadcast(RAW)
    house.rpcs[0].pool.add(TX)
    assert house.pool.broadcast(RAW)
    house.rpcs[0].pool.clear()
    house.rpcs[0].mine(TX, 90)
    assert house.pool.broadcast(RAW)


def test_an_answer_lost_after_acceptance_is_looked_up() -> None:
    house = House(1)

    def take_and_break(params: list[object]) -> object:
        house.rpcs[0].eth_sendRawTransaction(str(params[0]))
        raise NodeUnavailable("cannot be reached (ConnectionError)")

    house.rpcs[0].special["eth_sendRawTransaction"] = take_and_break
    assert house.pool.broadcast(RAW)


def test_a_hash_of_another_transaction_is_no_acceptance() -> None:
    house = House(1)
    house.rpcs[0].special["eth_sendRawTransaction"] = lambda _params: "0x" + "99" * 32
    assert not house.pool.broadcast(RAW)


def test_a_sighting_counts_who_says_the_same() -> None:
    house = House(2)
    for rpc in house.rpcs:
        rpc.mine(TX, 90)
    house.rpcs[0].head = 98
    place = Inclusion(TX, 90, house.rpcs[0].block_hash(90), succeeded=True)
    assert house.pool.sight(ENTRY) == Sighting(98, 6, place, 2, pooled=False)


def test_a_pending_transaction_is_seen_in_the_pool() -> None:
    house = House(2)
    house.rpcs[0].pool.add(TX)
    assert house.pool.sight(ENTRY) == Sighting(100, 5, None, 2, pooled=True)


def test_a_lying_receipt_does_not_decide() -> None:
    house = House(2)
    house.rpcs[0].mine(TX, 90)
    assert house.pool.sight(ENTRY) == Sighting(100, 5, None, 1, pooled=False)


def test_a_lying_node_does_not_move_an_included_entry_either() -> None:
    house = House(2)
    house.rpcs[0].mine(TX, 90)
    place = Inclusion(TX, 90, house.rpcs[0].block_hash(90), succeeded=True)
    included = replace(ENTRY, state=State.INCLUDED, inclusion=place)
    assert house.pool.sight(included) == Sighting(100, 6, place, 1, pooled=False)


def test_a_receipt_of_an_abandoned_branch_counts_as_none() -> None:
    house = House(1)
    house.rpcs[0].mine(TX, 90)
    house.rpcs[0].fork = "bb"
    assert house.pool.sight(ENTRY).inclusion is None


def test_a_node_behind_has_no_voice() -> None:
    house = House(2)
    for rpc in house.rpcs:
        rpc.mine(TX, 90)
    house.rpcs[1].head = 20
    seen = house.pool.sight(ENTRY)
    assert (seen.head, seen.agreeing) == (100, 1)


def test_one_node_far_ahead_does_not_put_the_others_out() -> None:
    house = House(3)
    house.rpcs[0].head = 1_000_000
    assert house.pool.sight(ENTRY).agreeing == 2
    assert house.log.events() == ["node.lost n0"]


def test_a_pass_over_two_nodes_is_a_handful_of_requests() -> None:
    house = House(2)
    for rpc in house.rpcs:
        rpc.mine(TX, 90)
    house.pool.sight(ENTRY)
    before = sum(sum(rpc.asked.values()) for rpc in house.rpcs)
    house.later(2)
    house.pool.sight(ENTRY)
    assert sum(sum(rpc.asked.values()) for rpc in house.rpcs) - before == 8
    house.pool.sight(replace(ENTRY, id=2))
    assert sum(sum(rpc.asked.values()) for rpc in house.rpcs) - before == 12


def test_the_mined_nonce_is_the_lowest_and_shares_its_requests_with_a_sighting() -> None:
    house = House(2)
    house.rpcs[0].nonces["latest"] = 4
    assert house.pool.mined_nonce() == 4
    before = [rpc.asked["eth_getTransactionCount"] for rpc in house.rpcs]
    house.pool.sight(ENTRY)
    assert [rpc.asked["eth_getTransactionCount"] for rpc in house.rpcs] == before


def test_what_needs_two_witnesses_is_not_believed_from_one() -> None:
    house = House(2)
    assert house.pool.pending_nonce(2) == house.pool.pending_nonce()
    house.rpcs[0].fault = NodeUnavailable("no answer in time")
    assert house.pool.pending_nonce() >= 0
    with pytest.raises(NodeUnavailable, match="1 full node answered"):
        house.pool.pending_nonce(2)


def test_a_rehearsal_tells_what_the_contract_says() -> None:
    house = House(1)
    house.pool.rehearse(CONTRACT, b"")
    house.rpcs[0].special["eth_call"] = reverting(NOPE)
    with pytest.raises(Rejected) as caught:
        house.pool.rehearse(CONTRACT, b"")
    assert (caught.value.error, caught.value.facts) == ("Nope", {"last": 7})
    house.rpcs[0].special["eth_call"] = reverting(PAUSED)
    with pytest.raises(NotYet, match="paused"):
        house.pool.rehearse(CONTRACT, b"")


def test_a_rehearsal_that_one_of_two_refuses_passes() -> None:
    house = House(2)
    house.rpcs[0].special["eth_call"] = reverting(NOPE)
    house.pool.rehearse(CONTRACT, b"")


def test_a_rehearsal_goes_with_its_money_and_its_gas() -> None:
    house = House(1)
    asked: list[object] = []
    house.rpcs[0].special["eth_call"] = lambda params: asked.append(params[0]) or "0x"
    house.pool.rehearse(CONTRACT, b"\x01", 255, 250_000)
    assert [(call["value"], call["gas"]) for call in asked if isinstance(call, dict)] == [("0xff", hex(250_000))]


def short_of_money(_params: list[object]) -> object:
    raise RpcRefused("Insufficient funds for gas * price + value", -32003, None)  # as Anvil 1.7.1 says it


def test_a_purchase_dearer_than_the_balance_puts_no_node_aside() -> None:
    house = House(3)
    for rpc in house.rpcs:
        rpc.special["eth_call"] = short_of_money
    with pytest.raises(NodeUnavailable, match="would run"):
        house.pool.rehearse(CONTRACT, b"\x01", 1 << 140)
    assert house.pool.mined_nonce() == 5, "readings still find their nodes"


def test_a_purchase_that_one_node_of_three_would_run_does_not_pass() -> None:
    house = House(3)
    for rpc in house.rpcs[:2]:
        rpc.special["eth_call"] = short_of_money
    with pytest.raises(NodeUnavailable, match="would run"):
        house.pool.rehearse(CONTRACT, b"\x01", 1 << 140)


def test_money_that_only_one_node_tells_of_is_not_sent_along() -> None:
    house = House(3)
    for rpc in house.rpcs[:2]:
        rpc.special["eth_getBalance"] = lambda _params: "0x10"
    assert house.pool.balance(sure=True) == 0x10
    assert house.pool.balance() > 0x10


def test_a_call_that_a_node_would_not_run_is_no_refusal() -> None:
    house = House(1)

    def busy(_params: list[object]) -> object:
        raise RpcRefused("limit", -32005, None)

    house.rpcs[0].special["eth_call"] = busy
    with pytest.raises(NodeUnavailable):
        house.pool.rehearse(CONTRACT, b"")


def test_a_fault_of_ours_is_not_taken_for_the_nodes() -> None:
    house = House(2)

    def broken(_params: list[object]) -> object:
        raise ZeroDivisionError

    house.rpcs[0].special["eth_getBalance"] = broken
    with pytest.raises(ZeroDivisionError):
        house.pool.balance()


def test_fees_come_from_the_lower_of_two() -> None:
    house = House(2)
    house.rpcs[0].special["eth_maxPriorityFeePerGas"] = lambda _params: hex(10**18)
    assert house.pool.fee_quote() == FeeQuote(base_fee=100, priority_fee=2)


def test_a_node_without_priority_fees_is_asked_its_gas_price() -> None:
    house = House(1)

    def unknown(_params: list[object]) -> object:
        raise RpcRefused("no such method", -32601, None)

    house.rpcs[0].special["eth_maxPriorityFeePerGas"] = unknown
    house.rpcs[0].special["eth_gasPrice"] = lambda _params: hex(130)
    assert house.pool.fee_quote() == FeeQuote(base_fee=100, priority_fee=30)


def test_statuses_tell_each_problem_in_words() -> None:
    house = House(2)
    house.rpcs[0].fault = NodeUnavailable("HTTP status 502 in place of an answer")
    own, other = house.pool.statuses()
    assert (own.name, own.ok, own.problem) == ("n1", True, None)
    assert own.head is not None
    assert (other.name, other.area, other.ok) == ("n0", "area-0", False)
    assert other.problem == "HTTP status 502 in place of an answer"


def test_a_closed_pool_ends_a_question_at_the_request_under_way() -> None:
    house = House(1, deadline_s=0.05)
    house.rpcs[0].held = threading.Event()
    with pytest.raises(NodeUnavailable):
        house.pool.pending_nonce()
    house.pool.close()
    house.rpcs[0].held.set()
    assert sum(house.rpcs[0].asked.values()) == 1


def test_the_head_is_the_highest_in_line() -> None:
    house = House(2)
    house.rpcs[0].head = 103
    assert house.pool.head().number == 103
