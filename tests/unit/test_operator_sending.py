"""What was signed is kept before it is sent, and sent again, the same bytes, until it is mined."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NoReturn

import pytest

from agent.domain.errors import BadRequest, Halted, NodeUnavailable, NotYet, Rejected
from agent.domain.fees import Fee, FeeQuote
from agent.domain.market import Head, Settlement
from agent.domain.outbox import Inclusion
from agent.operator.sending import Pending, Sender, Shelf

TO = "0x" + "22" * 20
TOMAN = Settlement("Toman", "IRT", 18)


class Crash(Exception):
    """The process ended here."""


class FakeChain:
    """A node that mines what it is sent at the next look."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.mined: dict[str, Inclusion] = {}
        self.count = 3
        self.sent: list[bytes] = []
        self.kept_before_sent: list[bool] = []
        self.faults: list[Exception] = []
        self.estimate_faults: list[Exception] = []
        self.mines = True
        self.succeeds = True
        self.held = 10**18
        self.head_number = 50

    def estimate_gas(self, _sender: str, _to: str, _data: bytes, _value: int) -> int:
        if self.estimate_faults:
            raise self.estimate_faults.pop(0)
        return 100_000

    def fee_quote(self) -> FeeQuote:
        return FeeQuote(100, 1)

    def balance(self, _account: str) -> int:
        return self.held

    def nonce(self, _account: str, *, pending: bool) -> int:  # noqa: ARG002 - nothing waits in this pool
        return self.count

    def head(self) -> Head:
        self.head_number += 1
        return Head(self.head_number, "0x", 0)

    def receipt(self, tx_hash: str) -> Inclusion | None:
        return self.mined.get(tx_hash)

    def send_raw(self, raw: bytes) -> bool:
        self.sent.append(raw)
        self.kept_before_sent.append(self.shelf.pending() is not None)
        if self.mines:
            tx_hash = f"0x{raw.decode()}"
            self.mined[tx_hash] = Inclusion(tx_hash, 50, "0x", self.succeeds)
            self.count += 1
        if self.faults:
            raise self.faults.pop(0)
        return True

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"sending needs no {name}")


class FakeKey:
    address = "0x" + "11" * 20

    def __init__(self) -> None:
        self.signed = 0

    def sign_transaction(  # noqa: PLR0917 - as the port has it
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        self.signed += 1
        raw = f"{nonce}-{to}-{data.hex()}-{gas}-{fee.max_fee}-{value}"
        return f"0x{raw}", raw.encode()


class Desk:
    def __init__(self, path: Path, depth: int = 0) -> None:
        self.shelf = Shelf(path / "state" / "pending.json")
        self.chain = FakeChain(self.shelf)
        self.key = FakeKey()
        self.now = 0.0
        self.sender = Sender(
            self.chain,
            self.key,
            self.shelf,
            most_fee=10**12,
            depth=depth,
            timeout_s=60.0,
            unit=lambda: TOMAN,
            monotonic=lambda: self.now,
            sleep=self.pass_time,
        )

    def pass_time(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_it_is_kept_before_it_is_sent(desk: Desk) -> None:
    found = desk.sender.send(TO, b"\x01")
    assert found.succeeded
    assert desk.chain.kept_before_sent == [True]
    assert desk.shelf.pending() is not None
    desk.sender.done()
    assert desk.shelf.pending() is None


def test_gas_has_a_quarter_to_spare_and_the_fee_its_offer(desk: Desk) -> None:
    desk.sender.send(TO, b"", 7)
    assert desk.chain.sent == [f"3-{TO}--125000-201-7".encode()]


def test_what_no_block_would_take_is_not_signed(desk: Desk) -> None:
    poor = Sender(
        desk.chain,
        desk.key,
        desk.shelf,
        most_fee=99,
        depth=0,
        timeout_s=60.0,
        unit=lambda: TOMAN,
        monotonic=lambda: desk.now,
        sleep=desk.pass_time,
    )
    with pytest.raises(BadRequest, match="gas costs 100 wei now, more than the 99 of --max-fee"):
        poor.send(TO, b"\x01")
    assert (desk.key.signed, desk.shelf.pending(), desk.chain.sent) == (0, None, [])


def test_a_command_that_was_interrupted_sends_the_same_bytes(desk: Desk) -> None:
    desk.chain.mines = False
    desk.chain.faults = [Crash()]
    with pytest.raises(Crash):
        desk.sender.send(TO, b"\x01")
    assert desk.sender.interrupted(TO, b"\x01")
    desk.chain.mines = True
    desk.sender.send(TO, b"\x01")
    assert len(set(desk.chain.sent)) == 1
    assert desk.key.signed == 1


def test_a_command_that_was_interrupted_after_it_was_mined_sends_nothing(desk: Desk) -> None:
    desk.sender.send(TO, b"\x01")
    desk.sender.send(TO, b"\x01")
    assert len(desk.chain.sent) == 1


def test_another_command_first_ends_the_interrupted_one(desk: Desk) -> None:
    desk.chain.mines = False
    desk.chain.faults = [Crash()]
    with pytest.raises(Crash):
        desk.sender.send(TO, b"\x01")
    desk.chain.mines = True
    desk.sender.send(TO, b"\x02")
    assert [raw.split(b"-")[0] for raw in desk.chain.sent] == [b"3", b"3", b"4"]


def test_settling_ends_the_interrupted_one_and_sends_nothing_new(desk: Desk) -> None:
    desk.sender.settle()
    assert desk.chain.sent == []
    desk.chain.mines = False
    desk.chain.faults = [Crash()]
    with pytest.raises(Crash):
        desk.sender.send(TO, b"", 7)
    desk.chain.mines = True
    desk.sender.settle()
    assert len(set(desk.chain.sent)) == 1
    assert desk.shelf.pending() is None
    desk.sender.settle()
    assert desk.key.signed == 1


def test_what_cannot_be_settled_stays_on_the_shelf(desk: Desk) -> None:
    desk.chain.mines = False
    desk.chain.faults = [Crash()]
    with pytest.raises(Crash):
        desk.sender.send(TO, b"", 7)
    with pytest.raises(NodeUnavailable, match="run the same command again"):
        desk.sender.settle()
    assert desk.sender.interrupted(TO, b"", 7)


def test_an_answer_lost_after_acceptance_is_no_failure(desk: Desk) -> None:
    desk.chain.faults = [NodeUnavailable("no answer in time")]
    assert desk.sender.send(TO, b"\x01").succeeded
    assert len(desk.chain.sent) == 1


def test_it_is_sent_again_only_every_ten_seconds(desk: Desk) -> None:
    desk.chain.mines = False
    with pytest.raises(NodeUnavailable, match="run the same command again"):
        desk.sender.send(TO, b"\x01")
    assert len(desk.chain.sent) == 6 + 1
    assert desk.shelf.pending() is not None


def test_it_waits_for_the_depth(tmp_path: Path) -> None:
    desk = Desk(tmp_path, depth=4)
    desk.sender.send(TO, b"\x01")
    assert desk.chain.head_number == 54


def test_a_nonce_used_elsewhere_stops_and_says_so(desk: Desk) -> None:
    desk.shelf.keep(Pending(desk_intent(desk), 2, "0xours", b"ours"))
    with pytest.raises(Halted, match="nonce 2"):
        desk.sender.send(TO, b"\x01")


def desk_intent(desk: Desk) -> str:
    desk.chain.mines = False
    desk.chain.faults = [Crash()]
    with pytest.raises(Crash):
        desk.sender.send(TO, b"\x01")
    pending = desk.shelf.pending()
    assert pending is not None
    return pending.intent


def test_what_the_contract_rejects_is_not_signed(desk: Desk) -> None:
    desk.chain.estimate_faults = [Rejected("MeterInUse")]
    with pytest.raises(Rejected, match="MeterInUse"):
        desk.sender.send(TO, b"\x01")
    assert desk.key.signed == 0


def test_a_revert_when_mined_is_told_by_its_name(desk: Desk) -> None:
    desk.chain.succeeds = False
    original = desk.chain.send_raw

    def mine_and_turn(raw: bytes) -> bool:
        desk.chain.estimate_faults = [Rejected("AlreadyEnrolled")]
        return original(raw)

    desk.chain.send_raw = mine_and_turn  # type: ignore[method-assign] # one test's twist on the fake
    with pytest.raises(Rejected, match="AlreadyEnrolled"):
        desk.sender.send(TO, b"\x01")
    assert desk.shelf.pending() is None


def test_a_revert_that_would_pass_now_is_tried_again_by_a_person(desk: Desk) -> None:
    desk.chain.succeeds = False
    with pytest.raises(NotYet, match="would take it now; run the same command again"):
        desk.sender.send(TO, b"\x01")
    assert desk.shelf.pending() is None


def test_an_account_that_cannot_pay_is_named(desk: Desk) -> None:
    desk.chain.held = 5
    with pytest.raises(BadRequest, match=r"holds 0\.000000000000000005 IRT and needs"):
        desk.sender.send(TO, b"\x01")
    assert desk.key.signed == 0


def test_the_shelf_is_readable_by_nobody_else(desk: Desk) -> None:
    desk.sender.send(TO, b"\x01")
    (kept,) = (path for path in desk.shelf._path.parent.iterdir())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"intent":"a"}', '{"intent":"a","nonce":1,"txHash":"b","raw":"zz"}']
)
def test_a_damaged_shelf_is_not_passed_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pending.json"
    path.write_text(content)
    with pytest.raises(BadRequest, match="is damaged"):
        Shelf(path).pending()


def test_a_shelf_that_cannot_be_written_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder belongs")
    desk = Desk(tmp_path)
    with pytest.raises(BadRequest, match="state"):
        desk.sender.send(TO, b"\x01")
    assert desk.chain.sent == []
