"""TLS with client certificates: who is refused, in which words, and that nothing leaks before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.broker_place import Place, Tls
from agent.domain.errors import BrokerUnavailable
from simulators.broker import Broker, Security
from simulators.certificates import Authority
from tests.integration.telemetry_house import HOUSEHOLD, TOPICS, HouseOnTheLine, connect_without_binding, sealed

pytestmark = pytest.mark.integration

CHECK_S = 20.0


@pytest.fixture(autouse=True)
def _unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def broker(authority: Authority) -> Iterator[Broker]:
    with Broker(security=Security(authority)) as running:
        yield running


def _place(broker: Broker, authority: Authority, client: str | None = HOUSEHOLD, days: int = 2) -> Place:
    if client is None:
        return Place("127.0.0.1", broker.port, Tls(authority.certificate))
    identity = authority.client(client, days)
    return Place("127.0.0.1", broker.port, Tls(authority.certificate, identity.certificate, identity.key))


def _refused(place: Place, broker: Broker, words: str) -> None:
    """It comes to no session, says why, and the broker saw neither who we are nor a message."""
    with HouseOnTheLine(place, client_id="refused-house") as house:
        house.journal.sealed = [sealed(1)]
        with pytest.raises(BrokerUnavailable, match=words):
            house.telemetry.check(CHECK_S)
        house.until(lambda: "broker.lost" in house.said.names(), "the loss said")
        assert house.journal.mark == (0, 0)
    seen = broker.output()
    assert "PUBLISH" not in seen
    assert "refused-house" not in seen


def test_good_certificates(broker: Broker, authority: Authority) -> None:
    with HouseOnTheLine(_place(broker, authority)) as house:
        house.telemetry.check(CHECK_S)
        house.journal.sealed = [sealed(1)]
        house.until(lambda: house.journal.mark == (1, 1), "published")


def test_another_authority(broker: Broker, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", "Another authority")
    identity = authority.client(HOUSEHOLD)
    place = Place("127.0.0.1", broker.port, Tls(stranger.certificate, identity.certificate, identity.key))

    _refused(place, broker, "its certificate was refused: .*nothing was sent")


def test_self_signed_broker_and_the_systems_list(broker: Broker) -> None:
    _refused(Place("127.0.0.1", broker.port, Tls()), broker, "its certificate was refused: self-signed|unable to get")


def test_wrong_host(authority: Authority) -> None:
    with Broker(security=Security(authority, alternatives=("DNS:elsewhere",))) as broker:
        _refused(_place(broker, authority), broker, "not valid for '127.0.0.1'")


def test_expired_broker(authority: Authority) -> None:
    with Broker(security=Security(authority, days=-1)) as broker:
        _refused(_place(broker, authority), broker, "certificate has expired")


def test_no_client_certificate(broker: Broker, authority: Authority) -> None:
    _refused(_place(broker, authority, client=None), broker, "it may want a client certificate")


def test_expired_client_certificate(broker: Broker, authority: Authority) -> None:
    _refused(_place(broker, authority, days=-1), broker, "ended the connection before accepting us")


def test_plain_speech_to_a_tls_port(broker: Broker) -> None:
    _refused(Place("127.0.0.1", broker.port), broker, "ended the connection before accepting us")


def test_certificate_of_another_household_may_not_publish_here(broker: Broker, authority: Authority) -> None:
    """S10: the broker's rules hold the household to its own topics, and the refusal is told (reason 135)."""
    with HouseOnTheLine(_place(broker, authority, client="0x0000000000000000000000000000000000000001")) as house:
        house.journal.sealed = [sealed(1)]
        house.until(lambda: "broker.refused" in house.said.names(), "the refusal told")

        assert house.journal.mark == (0, 0)
    facts = dict(house.said.lines)["broker.refused"]
    assert facts["problem"] == "Not authorized"
    assert TOPICS.status.removesuffix("status") in str(facts["advice"])
