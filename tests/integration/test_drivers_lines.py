"""Meters on real wires: shared, dead, unplugged, half-open, behind gateways."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drivers.catalogue import Catalogue
from drivers.errors import (
    GarbledReplyError,
    GatewayError,
    LineLostError,
    LineSetupError,
    MeterBusyError,
    MeterError,
    NoReplyError,
    RefusedRequestError,
    WrongMeterError,
    WrongSettingError,
)
from drivers.line import LinePool, LineSettings, RtuSettings, TcpSettings
from drivers.meter import Counts, Meter
from drivers.opening import open_meter
from drivers.scan import scan
from drivers.settings import Framing
from tests.integration.drivers_slave import (
    SERIAL,
    UNIT,
    Bridge,
    Faults,
    Registers,
    RtuSlave,
    TcpSlave,
    sdm120,
    sdm630,
    words,
)

if TYPE_CHECKING:
    from pathlib import Path

    from drivers.profile import Profile

pytestmark = pytest.mark.integration

PATIENT_S = 5.0  # longer than any pause of a busy test machine
SHORT_S = 0.1


def profile(name: str = "eastron_sdm120", longest_s: float = PATIENT_S) -> Profile:
    shipped = Catalogue().profile(name)
    return replace(shipped, timeout_s=(min(1.0, longest_s), longest_s), gap_s=0.0)


def meter_on(
    settings: LineSettings,
    unit: int = UNIT,
    *,
    name: str = "eastron_sdm120",
    longest_s: float = PATIENT_S,
    pool: LinePool | None = None,
    counts: Counts = Counts.IMPORT,
) -> Meter:
    line = (pool or LinePool()).line(settings)
    return open_meter(line, profile(name, longest_s), unit, counts, str(SERIAL))


def rtu(slave: RtuSlave) -> RtuSettings:
    return RtuSettings(slave.path, baud=115200, quiet_s=0.003)


def test_two_kinds_of_meter_on_one_serial_line() -> None:
    with RtuSlave({1: sdm120(), 2: sdm630()}) as slave:
        pool = LinePool()
        production = meter_on(rtu(slave), 1, pool=pool, counts=Counts.EXPORT)
        consumption = meter_on(rtu(slave), 2, pool=pool, name="eastron_sdm630")
        for _ in range(3):
            assert production.read().register_wh == 89_500
            assert consumption.read().register_wh == 8_113_250
        production.close()
        consumption.close()


def test_threads_on_one_line_never_mix_up_their_meters() -> None:
    with RtuSlave({1: sdm120(), 2: sdm630()}) as slave:
        pool = LinePool()
        seen: dict[int, set[int | None]] = {1: set(), 2: set()}

        def read(unit: int, name: str) -> None:
            meter = meter_on(rtu(slave), unit, pool=pool, name=name)
            for _ in range(20):
                seen[unit].add(meter.read().register_wh)
            meter.close()

        threads = [
            threading.Thread(target=read, args=arguments)
            for arguments in ((1, "eastron_sdm120"), (2, "eastron_sdm630"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == {1: {1_234_567}, 2: {8_113_250}}


@pytest.mark.parametrize("framing", ["rtu", "tcp", "rtu-over-tcp"])
def test_a_dead_meter_costs_its_neighbour_one_timeout_at_most(framing: str) -> None:
    slave: RtuSlave | TcpSlave
    slave = TcpSlave({1: sdm120()}) if framing == "tcp" else RtuSlave({1: sdm120()})
    with slave:
        bridge = None
        if isinstance(slave, TcpSlave):
            settings: LineSettings = TcpSettings("127.0.0.1", slave.port)
        elif framing == "rtu":
            settings = rtu(slave)
        else:
            bridge = Bridge(slave.path)
            settings = TcpSettings("127.0.0.1", bridge.port, Framing.RTU_OVER_TCP, quiet_s=0.003)
        pool = LinePool()
        alive = meter_on(settings, 1, pool=pool)
        dead = meter_on(settings, 9, pool=pool, longest_s=SHORT_S)
        alive.read()
        failures = []
        for _ in range(6):
            began = time.monotonic()
            with pytest.raises(MeterError) as caught:
                dead.read()
            failures.append((caught.type.__name__, time.monotonic() - began))
            assert alive.read().register_wh == 1_234_567
        alive.close()
        dead.close()
        if bridge:
            bridge.close()

    assert failures[0][0] == "NoReplyError"
    assert failures[-1][0] == "BackingOffError"
    # 0.1 s each; the rest is room for a busy machine, and still far below a second timeout of the neighbour
    assert all(seconds < SHORT_S + 0.5 for _, seconds in failures)


def test_a_babbling_line_costs_one_timeout_and_the_other_line_nothing() -> None:
    with RtuSlave({1: sdm120()}) as babbling, TcpSlave({1: sdm120()}) as other:
        stop = threading.Event()

        def babble() -> None:
            while not stop.is_set():
                os.write(babbling._master, b" Busy ")
                time.sleep(0.005)

        talker = threading.Thread(target=babble)
        talker.start()
        try:
            bad = meter_on(rtu(babbling), longest_s=SHORT_S)
            good = meter_on(TcpSettings("127.0.0.1", other.port))
            began = time.monotonic()
            with pytest.raises(GarbledReplyError):
                bad.read()
            spent_s = time.monotonic() - began
            assert good.read().register_wh == 1_234_567
        finally:
            stop.set()
            talker.join()
        bad.close()
        good.close()

    assert spent_s < 3 * SHORT_S + 0.5


def test_an_adapter_that_comes_back_under_another_name_is_opened_by_its_link(tmp_path: Path) -> None:
    link = tmp_path / "meter-adapter"
    with RtuSlave({1: sdm120()}) as first:
        link.symlink_to(first.path)
        meter = meter_on(RtuSettings(str(link), baud=115200, quiet_s=0.003))
        assert meter.read().register_wh == 1_234_567
        first.unplug()
        with pytest.raises(LineLostError, match="unplugged; it is opened again when it is back"):
            meter.read()
        link.unlink()
        with pytest.raises(LineLostError, match="is the adapter plugged in"):
            meter.read()
        registers = sdm120()
        registers.f32(0x48, 1234.600)
        with RtuSlave({1: registers}) as second:
            link.symlink_to(second.path)
            deadline = time.monotonic() + 30
            measured = None
            while measured is None and time.monotonic() < deadline:
                try:
                    measured = meter.read()
                except MeterError:
                    time.sleep(0.1)
            meter.close()

    assert measured is not None
    assert measured.register_wh == 1_234_600


def test_another_meter_behind_a_line_that_came_back_is_noticed(tmp_path: Path) -> None:
    link = tmp_path / "meter-adapter"
    with RtuSlave({1: sdm120()}) as first:
        link.symlink_to(first.path)
        meter = meter_on(RtuSettings(str(link), baud=115200, quiet_s=0.003))
        meter.read()
        first.unplug()
        with pytest.raises(LineLostError):
            meter.read()
    swapped = sdm120()
    swapped.put(3, 0xFC00, words(">I", SERIAL + 1))
    with RtuSlave({1: swapped}) as second:
        link.unlink()
        link.symlink_to(second.path)
        with pytest.raises(WrongMeterError):
            meter.read()
        meter.close()


def test_a_device_that_another_program_holds_is_not_shared() -> None:
    with RtuSlave({1: sdm120()}) as slave:
        one = meter_on(rtu(slave))
        one.read()
        other = meter_on(rtu(slave))
        with pytest.raises(LineLostError, match="another program holds it"):
            other.read()
        one.close()
        other.close()


def test_what_is_no_serial_device_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(LineSetupError, match="directory"):
        meter_on(RtuSettings(str(tmp_path))).read()
    plain = tmp_path / "file"
    plain.touch()
    with pytest.raises((LineSetupError, LineLostError), match=str(plain)):
        meter_on(RtuSettings(str(plain))).read()


def test_nothing_listening_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LineLostError, match="nothing listens on that port"):
        meter_on(TcpSettings("127.0.0.1", port)).read()


def test_a_half_open_connection_is_replaced() -> None:
    with TcpSlave({1: sdm120()}, Faults(("silent",), rate=0.0)) as slave:
        meter = meter_on(TcpSettings("127.0.0.1", slave.port), longest_s=0.5)
        meter.read()
        slave.faults.rate = 1.0
        with pytest.raises(NoReplyError):
            meter.read()
        slave.faults.rate = 0.0
        deadline = time.monotonic() + 30
        measured = None
        while measured is None and time.monotonic() < deadline:
            try:
                measured = meter.read()
            except MeterError:
                time.sleep(0.1)
        meter.close()

    assert measured is not None
    assert slave.accepted >= 2


def test_a_gateway_without_an_answer_within_the_deadline_ends_the_attempt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        meter = meter_on(TcpSettings("127.0.0.1", black_hole.getsockname()[1]), longest_s=SHORT_S)
        began = time.monotonic()
        with pytest.raises(NoReplyError):
            meter.read()
        meter.close()

    assert time.monotonic() - began < SHORT_S + 1.0


class Excepting(Registers):
    """Answers everything with one exception."""

    code = 6

    def answer(self, function: int, address: int, count: int) -> bytes:  # noqa: ARG002 - refused unseen
        return bytes([function | 0x80, self.code])


@pytest.mark.parametrize("wire", ["rtu", "tcp"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, RefusedRequestError),
        (2, RefusedRequestError),
        (3, RefusedRequestError),
        (4, MeterBusyError),
        (6, MeterBusyError),
        (11, GatewayError),
    ],
)
def test_modbus_exceptions_store_nothing_and_reach_who_can_act(wire: str, code: int, kind: type[MeterError]) -> None:
    registers = Excepting()
    registers.code = code
    slave = RtuSlave({1: registers}) if wire == "rtu" else TcpSlave({1: registers})
    with slave:
        settings = rtu(slave) if isinstance(slave, RtuSlave) else TcpSettings("127.0.0.1", slave.port)
        meter = meter_on(settings)
        with pytest.raises(kind):
            meter.read()
        meter.close()


def test_a_slow_drip_of_bytes_is_still_a_reply() -> None:
    with RtuSlave({1: sdm120()}, Faults(("drip",), rate=1.0, drip_s=0.002)) as slave:
        meter = meter_on(rtu(slave))
        assert meter.read().register_wh == 1_234_567
        meter.close()


def test_a_meter_with_its_words_the_other_way_round_is_refused() -> None:
    registers = sdm630()
    for function, first, count in ((3, 0x28, 2), (4, 0x00, 0x60)):
        for address in range(first, first + count, 2):
            cells = registers.cells
            cells[function, address], cells[function, address + 1] = (
                cells[function, address + 1],
                cells[function, address],
            )
    with TcpSlave({1: registers}) as slave:
        meter = meter_on(TcpSettings("127.0.0.1", slave.port), name="eastron_sdm630")
        with pytest.raises(WrongSettingError) as caught:
            meter.read()
        assert meter.inspect().objections == caught.value.sentences
        meter.close()

    assert "register_order (0x0028) is wrong" in caught.value.sentences[0]
    assert "Word order is wrong: frequency" in caught.value.sentences[1]


def test_a_scan_of_a_serial_line_shows_what_is_there() -> None:
    with RtuSlave({1: sdm120(), 3: sdm630()}) as slave:
        settings = rtu(slave)
        profiles = [profile(name) for name in ("eastron_sdm120", "eastron_sdm630")]
        places = [(settings, unit) for unit in range(1, 5)]

        found = list(scan(settings, profiles, patience_s=1.0, places=places))

    assert [(finding.unit, finding.profile.id, finding.certain) for finding in found] == [
        (1, "eastron_sdm120", True),
        (3, "eastron_sdm630", False),
    ]
    assert all(finding.inspection.points for finding in found)


def test_a_clean_serial_line_is_read_without_spinning() -> None:
    with RtuSlave({1: sdm120()}) as slave:
        meter = meter_on(rtu(slave))
        meter.read()
        began = time.thread_time()
        for _ in range(100):
            meter.read()
        spent_ms = (time.thread_time() - began) * 1000 / 100
        meter.close()

    assert spent_ms < 5  # 0.5 measured; this only catches a busy wait
