"""Which brokers are accepted, and how attempts to reach one spread; no socket is opened."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent.adapters.broker_place import Place, Presence, Tls
from agent.adapters.mqtt import Telemetry
from agent.domain.errors import BrokerUnavailable, ConfigurationInvalid

CERTIFICATE = Tls(certificate_file=Path("house.crt"))


class Said:
    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **_facts: object) -> None:
        self.events.append(event)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _telemetry(place: Place, said: Said, clock: Hand | None = None, seed: int = 0) -> Telemetry:
    dice = random.Random(seed)  # noqa: S311 # a spread, no secret
    return Telemetry(
        place=place,
        presence=Presence("house", "energy/v1/north/0x/status", b"{}"),
        log=said,
        random=dice.random,
        monotonic=clock or Hand(),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_plain_on_loopback_is_accepted(host: str) -> None:
    said = Said()
    _telemetry(Place(host, 1883), said)

    assert said.events == []


def test_plain_off_loopback_must_be_asked_for_and_is_told() -> None:
    with pytest.raises(ConfigurationInvalid, match="allow_plain"):
        Place("192.0.2.1", 1883)

    said = Said()
    _telemetry(Place("192.0.2.1", 1883, allow_plain=True), said)
    assert said.events == ["broker.plain"]


def test_name_that_looks_like_loopback_is_not() -> None:
    with pytest.raises(ConfigurationInvalid, match="allow_plain"):
        Place("localhost.example", 1883)


def test_household_must_be_known_to_a_broker_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="certificate_file"):
        Place("broker.example", 8883, Tls())

    Place("broker.example", 8883, CERTIFICATE)
    Place("broker.example", 8883, Tls(), username="house", password_file=tmp_path / "password")


@pytest.mark.parametrize("host", ["", "a\nb", "a" * 254, "bröker"])
def test_bad_host(host: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"telemetry\.host"):
        Place(host, 1883, CERTIFICATE)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        Place("192.0.2.1", 0, password_file=Path("p"))

    assert len(told.value.problems) == 3


def test_password_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n", encoding="utf-8")

    assert Place("localhost", 1, username="house", password_file=file).password() == "correct horse"
    assert Place("localhost", 1).password() is None


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"", id="empty"), pytest.param(b"\n", id="a line end"), pytest.param(b"canary\nx\n", id="two lines"),
     pytest.param(b"canary\xff", id="no text")],
)  # fmt: skip
def test_bad_password_file_is_named_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(BrokerUnavailable, match="password file") as told:
        Place("localhost", 1, username="house", password_file=file).password()

    assert "canary" not in str(told.value)
    assert told.value.__cause__ is None


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"ca\.pem"):
        Tls(ca_file=tmp_path / "ca.pem").context()
    with pytest.raises(BrokerUnavailable, match=r"house\.crt"):
        Tls(certificate_file=tmp_path / "house.crt").context()


def test_file_that_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing of the kind", encoding="utf-8")

    with pytest.raises(BrokerUnavailable, match="expected PEM"):
        Tls(ca_file=file).context()


def _attempts(seed: int, tmp_path: Path) -> list[float]:
    """When one household's first attempts come; each fails before a socket, for want of its password's file."""
    clock, times = Hand(), [0.0]
    place = Place("localhost", 1, username="house", password_file=tmp_path / "missing")
    telemetry = _telemetry(place, Said(), clock, seed)
    assert telemetry.tend().problem is not None
    while len(times) < 5:
        clock.now += 0.05
        before = telemetry._attempts
        telemetry.tend()
        if telemetry._attempts > before:
            times.append(clock.now)
    return times


def test_a_hundred_households_do_not_come_back_together(tmp_path: Path) -> None:
    """S30: at least half of each delay is spread, and delays double."""
    all_times = [_attempts(seed, tmp_path) for seed in range(100)]

    for number, full in ((1, 5.0), (2, 10.0), (3, 20.0)):
        delays = [times[number] - times[number - 1] for times in all_times]
        assert max(delays) - min(delays) > 0.4 * full
        assert full * 0.5 <= min(delays)
        assert max(delays) <= full + 0.1


def test_nothing_can_be_handed_over_without_a_session() -> None:
    telemetry = _telemetry(Place("localhost", 1), Said())

    assert telemetry.publish("energy/x", b"{}", qos=1) is None
    assert (telemetry.taken(), telemetry.refused(), telemetry.heard()) == ([], [], [])
    telemetry.renew("nothing to renew")
    telemetry.close(0.0)
    assert not telemetry.tend().connected


def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    place = Place("localhost", 1, username="house", password_file=tmp_path / "missing")

    with pytest.raises(BrokerUnavailable, match="missing: No such file"):
        _telemetry(place, Said()).check(1.0)
