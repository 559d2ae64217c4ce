"""A scan finds meters where makers put them, and says how sure it is."""

from __future__ import annotations

from drivers.catalogue import Catalogue
from drivers.line import Line, RtuSettings
from drivers.scan import candidates, scan
from tests.integration.drivers_slave import SERIAL, sdm120, sdm630
from tests.unit.drivers_bench import PLACE, MemoryWire, shipped


def test_a_scan_tries_what_makers_deliver_first() -> None:
    profiles = list(Catalogue())
    places = list(candidates(RtuSettings("/dev/ttyUSB0", baud=19200), profiles))
    first = [(str(settings).split(" ", 1)[1], unit) for settings, unit in places[:11]]

    assert first[0] == ("(19200 8N1)", 1)
    assert first[4] == ("(19200 8N1)", 5)
    assert first[5] == ("(2400 8N1)", 1)
    assert first[10] == ("(9600 8N1)", 1)
    assert len(places) == len(set(places))
    assert len(list(candidates(RtuSettings("d"), profiles, thorough=True))) > len(places)


def test_a_scan_finds_meters_and_says_how_sure_it_is() -> None:
    profiles = [shipped("eastron_sdm120"), shipped("eastron_sdm630")]
    wire = MemoryWire({1: sdm120(), 3: sdm630()})

    found = list(scan(PLACE, profiles, patience_s=0.001, make_line=lambda settings: Line(settings, wire)))

    assert [(finding.unit, finding.profile.id, finding.certain) for finding in found] == [
        (1, "eastron_sdm120", True),
        (3, "eastron_sdm630", False),
    ]
    assert found[0].inspection.serial == str(SERIAL)


def test_a_scan_does_not_take_a_meter_for_one_whose_model_code_it_contradicts() -> None:
    other = sdm120()
    other.put(3, 0xFC02, [0x0089])
    wire = MemoryWire({1: other})
    profiles = [shipped("eastron_sdm120")]

    assert list(scan(PLACE, profiles, patience_s=0.001, make_line=lambda settings: Line(settings, wire))) == []
