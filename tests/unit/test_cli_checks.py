from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from agent.cli import checks
from agent.cli.findings import Finding, Level, failed, ok, problem, told, warning
from agent.cli.inspections import points, settings
from agent.domain.errors import BrokerUnavailable, KeystoreInvalid, MeterMisconfigured, MeterSilent, NodeUnavailable
from agent.domain.fees import FeeQuote
from agent.domain.market import Head, HouseholdState, Parameters, Settlement
from agent.domain.samples import Measured, MeterRole

ACCOUNT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
MEASURED = Measured(1_236_030, 2629, None, None, None, "21", b"\x44\x9a\x80\xf6")
STATE = HouseholdState(
    enrolled=True, active=True, epoch=1, sequence=3, taken_at=1, produced_wh=1_000_000, consumed_wh=2_000_000,
    tokens_wh=5, rated_power_w=15_000,
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    name: str = "export_energy"
    function: int = 4
    address: int = 0x4A
    raw: bytes = b"\x44\x9a\x80\xf6"
    value: Decimal | str | None = Decimal("1236.030029296875")
    unit: str = "kWh"
    confidence: str = "A"
    remark: str = ""


@dataclass(frozen=True)
class Setting:
    ok: bool | None
    sentence: str
    name: str = "s"
    found: str = "1"


@dataclass(frozen=True)
class Inspection:
    points: tuple[Point, ...] = (Point(),)
    settings: tuple[Setting, ...] = ()
    profile: str = "eastron_sdm120"
    line: str = "a line"
    unit: int = 1
    serial: str | None = "21"


@dataclass
class Meter:
    inspection: Inspection = Inspection()
    measured: Measured = MEASURED
    error: Exception | None = None

    def inspect(self) -> Inspection:
        if self.error:
            raise self.error
        return self.inspection

    def read(self) -> Measured:
        return self.measured

    def close(self) -> None: ...


TOMAN = Settlement("Toman", "IRT", 18)
HEAD = Head(12, "0x", 1_000_000)


@dataclass(frozen=True)
class Node:
    name: str = "node-1:8545"
    area: str = "north"
    ok: bool = True
    head: Head | None = HEAD
    problem: str | None = None
    strange: bool = False


@dataclass
class Pool:
    state: HouseholdState = STATE
    paused: bool = False
    wei: int = 10**18
    error: Exception | None = None

    def statuses(self) -> list[Node]:
        return [Node()]

    def household(self) -> HouseholdState:
        if self.error:
            raise self.error
        return self.state

    def parameters(self) -> Parameters:
        return Parameters(900, 0, 0, 0, paused=self.paused)

    def balance(self) -> int:
        return self.wei

    def fee_quote(self) -> FeeQuote:
        return FeeQuote(10**9, 10**9)

    def settlement(self) -> Settlement:
        return TOMAN

    def close(self) -> None: ...


def levels(found: list[Finding]) -> list[str]:
    return [finding.level.value for finding in found]


def facts(address: str = ACCOUNT, kdf: str = "pbkdf2, c = 1000000") -> Callable[[], Mapping[str, str]]:
    return lambda: {"address": address, "file": "k", "kdf": kdf}


def opens(passphrase: bytes) -> None:
    if passphrase != b"c4nary":
        raise KeystoreInvalid("keystore k cannot be opened: the passphrase is wrong, or the file is damaged")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "keystore.json"


def test_a_good_keystore_is_ok(path: Path) -> None:
    assert levels(checks.keystore(facts(), path, ACCOUNT, None, opens)) == ["ok"]


def test_a_missing_keystore_is_a_problem(path: Path) -> None:
    def missing() -> Mapping[str, str]:
        raise KeystoreInvalid("there is no keystore")

    assert checks.keystore(missing, path, ACCOUNT, None, opens)[0].said == "there is no keystore"


def test_another_accounts_keystore_is_a_problem(path: Path) -> None:
    found = checks.keystore(facts("0x0000000000000000000000000000000000000001"), path, ACCOUNT, None, opens)

    assert levels(found) == ["problem"]
    assert ACCOUNT in found[0].said


def test_a_heavy_derivation_and_an_open_directory_are_warnings(path: Path) -> None:
    path.parent.chmod(0o755)

    assert levels(checks.keystore(facts(kdf="scrypt, n = 262144"), path, ACCOUNT, None, opens)) == [
        "ok",
        "warning",
        "warning",
    ]


def test_a_passphrase_file_open_to_others_is_a_problem(path: Path) -> None:
    secret = path.with_name("passphrase")
    secret.write_text("c4nary\n")
    secret.chmod(0o644)

    found = checks.keystore(facts(), path, ACCOUNT, secret, opens)

    assert levels(found) == ["ok", "problem"]
    assert "chmod 600" in found[1].said
    assert "c4nary" not in told(found)


@pytest.mark.parametrize(("passphrase", "level"), [("c4nary", "ok"), ("another", "problem")])
def test_the_passphrase_is_tried(path: Path, passphrase: str, level: str) -> None:
    secret = path.with_name("passphrase")
    secret.write_text(f"{passphrase}\n")
    secret.chmod(0o600)

    found = checks.keystore(facts(), path, ACCOUNT, secret, opens)

    assert levels(found) == ["ok", level]
    assert passphrase not in told(found)


def test_a_good_meter_tells_its_register_with_three_decimals() -> None:
    found, inspection, measured = checks.meter(MeterRole.PRODUCTION, Meter())

    assert levels(found) == ["ok"]
    assert "1236.030 kWh, 2629 W" in found[0].said
    assert inspection is not None
    assert measured == MEASURED


@pytest.mark.parametrize("error", [MeterSilent("no answer within 1 s"), MeterMisconfigured("wrong word order")])
def test_a_meter_that_cannot_be_read_is_a_problem_with_its_reason(error: Exception) -> None:
    found, inspection, measured = checks.meter(MeterRole.CONSUMPTION, Meter(error=error))

    assert levels(found) == ["problem"]
    assert found[0].part == "consumption meter"
    assert found[0].said == str(error)
    assert (inspection, measured) == (None, None)


def test_settings_and_unsure_points_are_told() -> None:
    inspection = Inspection(
        points=(Point(confidence="C"),), settings=(Setting(True, "a"), Setting(False, "b"), Setting(None, "c"))
    )

    found, _, _ = checks.meter(MeterRole.PRODUCTION, Meter(inspection))

    assert levels(found) == ["ok", "problem", "warning", "ok", "warning"]


def test_an_unknown_register_is_a_problem_and_not_zero() -> None:
    found, _, _ = checks.meter(MeterRole.PRODUCTION, Meter(measured=replace(MEASURED, raw_wh=None)))

    assert levels(found) == ["problem"]
    assert "0.000" not in found[0].said


def test_raw_and_scaled_stand_side_by_side() -> None:
    text = points(Inspection(points=(Point(), Point(name="power", value=None, raw=b"", remark="refused"))))

    assert "4:0x004A  449a 80f6  1236.030  kWh   A" in text
    assert text.splitlines()[2].split() == ["power", "4:0x004A", "-", "-", "kWh", "A", "refused"]


def test_verdicts_are_marked() -> None:
    shown = settings(Inspection(settings=(Setting(False, "b"), Setting(None, "c"))))

    assert shown == "[WRONG] b\n[judge] c"


def test_a_lost_node_is_a_problem_and_the_other_area_a_warning() -> None:
    lost = Node(ok=False, head=None, problem="it answers HTML", area="south")

    assert levels(checks.nodes([Node(), lost], "north", unproven=False)) == ["ok", "problem"]
    assert levels(checks.nodes([Node()], "west", unproven=False)) == ["ok", "warning"]


def test_a_stranger_who_seals_is_no_matter_for_the_other_nodes() -> None:
    stranger = Node(ok=False, head=None, problem="its newest block is sealed by 0x12", strange=True)
    found, *_ = checks.nodes([stranger], "north", unproven=False)

    assert found.level is Level.PROBLEM
    assert "start it, then check again" in found.advice
    assert "compare [chain]" in found.advice


@pytest.mark.parametrize(
    ("pinned", "told"),
    [
        (("qbft", 4, 0), ["qbft, 4 validators pinned at the genesis"]),
        (("clique", 1, 60_000), ["clique, 1 validator pinned at block 60000"]),
        ((None, 0, 0), []),
    ],
)
def test_who_may_seal_is_told_in_a_line(pinned: tuple[str | None, int, int], told: list[str]) -> None:
    assert [finding.said for finding in checks.validators(*pinned)] == told


def test_an_unproven_chain_is_told() -> None:
    assert "unproven" in checks.nodes([Node()], "north", unproven=True)[-1].said


@pytest.mark.parametrize(("now", "level"), [(1_000_010, "ok"), (1_000_900, "warning"), (999_000, "warning")])
def test_our_clock_is_compared_with_the_newest_block(now: int, level: str) -> None:
    assert levels(checks.block_time([Node()], now)) == [level]
    assert checks.block_time([Node(ok=False)], now) == []


def test_a_clock_that_nobody_keeps_is_a_problem_where_that_is_required() -> None:
    assert checks.clock(synchronised=True, required=True).level is Level.OK
    assert checks.clock(synchronised=False, required=True).level is Level.PROBLEM
    assert checks.clock(synchronised=False, required=False).level is Level.WARNING


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (Pool(), ["ok", "ok"]),
        (Pool(replace(STATE, enrolled=False)), ["problem", "ok"]),
        (Pool(replace(STATE, active=False)), ["problem", "ok"]),
        (Pool(replace(STATE, rated_power_w=9)), ["ok", "problem", "ok"]),
        (Pool(replace(STATE, produced_wh=2_000_000)), ["ok", "problem", "ok"]),
        (Pool(paused=True), ["ok", "warning", "ok"]),
        (Pool(wei=0), ["ok", "problem"]),
        (Pool(wei=10**15), ["ok", "warning"]),
        (Pool(error=NodeUnavailable("nobody answered")), ["problem"]),
    ],
)
def test_what_the_chain_says(pool: Pool, expected: list[str]) -> None:
    found = checks.contract_side(pool, 15_000, 10**11, {MeterRole.PRODUCTION: MEASURED})

    assert levels(found) == expected


def test_swapped_meters_are_named_as_what_they_look_like() -> None:
    found = checks.enrolment(replace(STATE, consumed_wh=9_000_000), 15_000, {MeterRole.CONSUMPTION: MEASURED})

    assert "below the 9000.000 kWh" in found[1].said
    assert "swapped" in found[1].advice


def test_money_is_told_in_the_markets_unit() -> None:
    found = checks.contract_side(Pool(wei=1_234_500 * 10**15), 15_000, 10**11, {MeterRole.PRODUCTION: MEASURED})

    assert found[-1].said == "the account holds 1,234.5 IRT, enough for about 13,716,666 transactions at today's price"


def test_free_and_too_dear_gas() -> None:
    assert "cost nothing" in checks.funds(0, FeeQuote(0, 0), 0, TOMAN).said
    assert checks.funds(10**18, FeeQuote(100, 1), 99, TOMAN).level is Level.WARNING


@dataclass
class Broker:
    error: BrokerUnavailable | None = None
    closed: bool = False

    def check(self, deadline_s: float) -> None:
        assert deadline_s > 0
        if self.error:
            raise self.error

    def close(self, deadline_s: float) -> None:
        self.closed = deadline_s > 0


def test_a_broker_is_closed_either_way() -> None:
    good, bad = Broker(), Broker(BrokerUnavailable("certificate expired"))

    assert checks.broker(good, "b:1").level is Level.OK
    assert checks.broker(bad, "b:1").said == "certificate expired"
    assert (good.closed, bad.closed) == (True, True)


def test_the_journals_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert checks.directory(tmp_path).level is Level.OK
    tmp_path.chmod(0o750)
    assert checks.directory(tmp_path).level is Level.PROBLEM
    assert checks.directory(tmp_path / "none").level is Level.WARNING


def test_findings_are_told_in_order_with_what_to_do() -> None:
    found = [ok("a", "good"), warning("b", "odd", "look"), problem("c", "bad", "act")]

    text = told(found)

    assert text.splitlines() == [
        "[  ok   ] a: good",
        "[warning] b: odd",
        "          -> look",
        "[problem] c: bad",
        "          -> act",
        "",
        "1 ok, 1 warning(s), 1 problem(s)",
    ]
    assert failed(found)
    assert not failed(found[:2])
