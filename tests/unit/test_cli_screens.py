from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import enrol, probe, readings, table
from agent.configuration import Configuration
from agent.domain.errors import BadRequest
from agent.domain.lines import Line, SerialLine, TcpLine
from agent.domain.office_requests import RequestKind
from agent.domain.personal_data import PersonalData, fingerprint
from agent.domain.readings import Flags, ReadingState
from agent.domain.samples import Measured, MeterRole
from agent.operator import enrolment

ACCOUNT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
HASH = "0x" + "ab" * 32


def configuration(**telemetry: object) -> Configuration:
    return Configuration.model_validate(
        {
            "household": {"account": ACCOUNT, "area": "north", "rated_power_w": 15_000},
            "meters": {
                "production": {"profile": "a", "line": "tcp://127.0.0.1:1"},
                "consumption": {"profile": "b", "line": "tcp://127.0.0.1:2"},
            },
            "chain": {
                "id": 31337, "genesis": HASH, "contract": ACCOUNT, "code_hash": HASH, "unproven": True,
                "nodes": [{"url": "http://127.0.0.1:1", "area": "north"}],
            },
            "telemetry": telemetry,
        }
    )  # fmt: skip


# Tables.


@given(st.integers(-(10**12), 10**12))
def test_energy_has_three_decimals_and_loses_nothing(wh: int) -> None:
    assert Decimal(table.kwh(wh)) * 1000 == wh
    assert len(table.kwh(wh).split(".")[1]) == 3


def test_unknown_is_not_zero() -> None:
    assert table.kwh(None) == table.moment(None) == "-"
    assert table.kwh(0) == "0.000"


def test_times_are_utc() -> None:
    assert table.moment(1_782_104_400) == "2026-06-22 05:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_ages(seconds: int, said: str) -> None:
    assert table.age(seconds) == said


def test_columns_are_aligned() -> None:
    assert table.grid(("name", "n"), [("a", 1), ("long one", None), ("", 333)], right=(1,)) == (
        "name        n\na           1\nlong one    -\n-         333"
    )


@dataclass(frozen=True)
class Row:
    interval_end: int = 1_782_104_400
    epoch: int = 1
    sequence: int | None = 7
    taken_at: int = 1_782_104_401
    produced_wh: int = 1_236_030
    consumed_wh: int = 5
    flags: Flags = Flags.LATE | Flags.PRODUCTION_HELD
    state: ReadingState = ReadingState.FINAL
    tx_hash: str = "0x12"
    block: int | None = 9
    why: str = ""


def test_readings_are_one_line_each() -> None:
    line = readings.told([Row()], unproven=False).splitlines()[1]

    assert "1236.030" in line
    assert "0.005" in line
    assert "production_held, late" in line
    assert line.startswith("2026-06-22 05:00:00Z")


def test_readings_say_unproven_when_they_are() -> None:
    assert "unproven" in readings.told([Row()], unproven=True)
    assert "unproven" not in readings.told([Row()], unproven=False)
    assert "no reading yet" in readings.told([], unproven=True)


def test_json_has_telemetrys_names_and_whole_units() -> None:
    facts = json.loads(table.as_json([Row(sequence=None)]))[0]

    assert facts["producedWh"] == 1_236_030
    assert facts["intervalEnd"] == 1_782_104_400
    assert facts["flags"] == 5
    assert facts["flagNames"] == ["production_held", "late"]
    assert facts["state"] == "final"
    assert facts["sequence"] is None


def test_json_of_other_kinds() -> None:
    assert table.plain({MeterRole.PRODUCTION: (b"\x01", Path("/x"), Decimal("1.5"), True, 1.5)}) == {
        "production": ["01", "/x", "1.5", True, 1.5]
    }
    with pytest.raises(TypeError, match="no plain form"):
        table.plain(object())


# Enrolment.


@dataclass(frozen=True)
class Setting:
    ok: bool | None = True
    sentence: str = "fine"
    name: str = "s"
    found: str = "1"


@dataclass(frozen=True)
class Inspection:
    serial: str | None = "21"
    settings: tuple[Setting, ...] = ()
    points: tuple[()] = ()
    profile: str = "eastron_sdm120"
    line: str = "a line"
    unit: int = 1


@dataclass
class Meter:
    inspection: Inspection = Inspection()
    raw_wh: int | None = 1500

    def inspect(self) -> Inspection:
        return self.inspection

    def read(self) -> Measured:
        return Measured(self.raw_wh, None, None, None, None, None, b"")

    def close(self) -> None: ...


class Key:
    address = ACCOUNT

    def sign_text(self, text: str) -> str:
        return "0x" + text.encode().hex()


def request() -> enrol.Request:
    meters = {
        MeterRole.PRODUCTION: enrol.stated(MeterRole.PRODUCTION, Meter(), None),
        MeterRole.CONSUMPTION: enrol.stated(MeterRole.CONSUMPTION, Meter(Inspection(serial=None)), "63"),
    }
    return enrol.unsigned(configuration(), meters, enrol.personal(WHO, bytes(32)), 1_782_104_400)


WHO = PersonalData("سارا", "Rad", "0123456789")


def test_the_operator_reads_what_the_household_wrote(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    enrol.write(file, enrol.sign(request(), Key()))

    def recover(text: str, signature: str) -> str:
        return ACCOUNT if signature == "0x" + text.encode().hex() else "0x"

    read = enrolment.read(file.read_bytes(), 31337, ACCOUNT, recover)

    assert read.request.household == ACCOUNT
    assert read.connection is not None
    assert read.connection.production.register_wh == 1500
    assert read.connection.consumption.serial == "63"
    assert read.request.personal == WHO


def test_the_operator_reads_an_edited_profile(tmp_path: Path) -> None:
    file = tmp_path / "edit.json"
    asked = enrol.edit(configuration(), enrol.personal(WHO, bytes(32)), 1_782_104_400)
    enrol.write(file, enrol.sign(asked, Key()))

    read = enrolment.read(file.read_bytes(), 31337, ACCOUNT, lambda _text, _signature: ACCOUNT)

    assert (read.request.kind, read.request.personal, read.connection) == (RequestKind.EDIT, WHO, None)
    assert read.call() == ("setPersonalData", (ACCOUNT, fingerprint(WHO, bytes(32), keccak)))
    assert "kWh" not in enrol.told(asked, WHO)


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_a_request_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    file = tmp_path / "request.json"
    before = os.umask(umask)
    try:
        enrol.write(file, request())
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_request_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    enrol.write(file, request())

    with pytest.raises(BadRequest, match="File exists"):
        enrol.write(file, request())


@pytest.mark.parametrize(
    ("meter", "typed", "told"),
    [
        (Meter(raw_wh=None), None, "its register is unknown"),
        (Meter(Inspection(serial=None)), None, "--production-serial SERIAL"),
        (Meter(), "22", "states serial number 21, not 22"),
        (Meter(Inspection(settings=(Setting(ok=False, sentence="mode must be 1"),))), None, "mode must be 1"),
    ],
)
def test_what_cannot_be_stated_is_refused(meter: Meter, typed: str | None, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        enrol.stated(MeterRole.PRODUCTION, meter, typed)


def test_another_accounts_key_signs_no_request() -> None:
    key = Key()
    key.address = "0x0000000000000000000000000000000000000001"

    with pytest.raises(BadRequest, match=r"household\.account is"):
        enrol.sign(request(), key)


def test_the_request_is_shown_before_it_is_signed() -> None:
    screen = enrol.told(request(), WHO)

    assert "eastron_sdm120, number 63, 1.500 kWh" in screen
    assert "15000 W" in screen
    assert "سارا" in screen
    assert "0123456789" in screen


def test_personal_data_are_shown_to_a_person_and_not_to_a_program() -> None:
    screen = enrol.told(request(), None)
    shared = json.dumps(enrol.shareable(request()), ensure_ascii=False)

    assert not any(word in screen + shared for word in ("سارا", "Rad", "0123456789", "0x" + "00" * 32))
    assert '"personalDataHash"' in shared


# Probe.


@dataclass(frozen=True)
class Answer:
    line: Line = field(default_factory=lambda: SerialLine("/dev/ttyUSB0", 2400, "E", 1))
    unit: int = 3
    profile: str = "eastron_sdm120"
    certain: bool = True
    inspection: Inspection = Inspection()


def test_a_found_meter_comes_with_its_configuration() -> None:
    screen = probe.told(Answer())

    assert '    line = "rtu:///dev/ttyUSB0?baud=2400&parity=E&stop=1"\n    unit = 3\n    serial = "21"' in screen
    assert "its model register says so" in screen
    assert "likely" in probe.told(Answer(line=TcpLine("::1"), certain=False, inspection=Inspection(serial=None)))


def test_serial_lines_are_listed_by_stable_names(tmp_path: Path) -> None:
    (tmp_path / "usb-b").touch()
    (tmp_path / "usb-a").touch()

    assert list(probe.serial_lines([tmp_path, tmp_path / "none"])) == [
        f"rtu://{tmp_path}/usb-{name}?baud=9600&parity=N&stop=1" for name in "ab"
    ]
