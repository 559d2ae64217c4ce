"""Anvil and an MQTT broker: started, steered, broken, and never left behind."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from simulators.broker import Broker, Security, find_mosquitto
from simulators.certificates import Authority, Identity
from simulators.chain import Anvil, find_anvil
from simulators.json_rpc import RpcError
from simulators.process import Child, StartError
from simulators.proxy import RpcProxy

LONG_S = 20.0
T = TypeVar("T")
EMPTY = "0x" + "00" * 18 + "dead"  # not the zero address: that is where Anvil pays its fees


def _has_anvil() -> bool:
    try:
        find_anvil()
    except StartError:
        return False
    return True


needs_anvil = pytest.mark.skipif(not _has_anvil(), reason="Anvil is missing: npm ci --prefix contracts")
needs_mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="the Debian package mosquitto is missing")


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil() as running:
        yield running


def pay(anvil: Anvil, wei: int = 1) -> str:
    payer = anvil.accounts[0].address
    return str(anvil.rpc("eth_sendTransaction", {"from": payer, "to": EMPTY, "value": hex(wei)}))


def pay_mined(anvil: Anvil, wei: int = 1) -> str:
    paid = pay(anvil, wei)
    deadline = time.monotonic() + LONG_S
    while anvil.rpc("eth_getTransactionReceipt", paid) is None:  # it answers before it has mined
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return paid


@needs_anvil
def test_a_node_starts_with_known_accounts_and_mines(anvil: Anvil) -> None:
    assert anvil.rpc("eth_chainId") == hex(31_337)
    assert len(anvil.accounts) == 10
    assert anvil.balance(anvil.accounts[9].address) == 10_000 * 10**18
    assert anvil.accounts[0].key not in repr(anvil.accounts)
    before = anvil.block_number()
    anvil.mine(3)
    pay_mined(anvil)
    assert anvil.block_number() == before + 4
    assert anvil.nonce(anvil.accounts[0].address) == 1


@needs_anvil
def test_a_node_is_steered(anvil: Anvil) -> None:
    account = anvil.accounts[1].address
    anvil.set_balance(account, 5)
    anvil.set_nonce(account, 7)
    assert (anvil.balance(account), anvil.nonce(account)) == (5, 7)
    anvil.set_automine(automine=False)
    waiting = pay(anvil)
    assert anvil.nonce(anvil.accounts[0].address, "pending") == 1
    anvil.drop_transaction(waiting)
    anvil.mine()
    assert anvil.rpc("eth_getTransactionReceipt", waiting) is None
    anvil.set_next_base_fee(3_000_000_000)
    anvil.mine()
    block = anvil.rpc("eth_getBlockByNumber", "latest", False)
    assert isinstance(block, dict)
    assert int(block["baseFeePerGas"], 16) == 3_000_000_000
    anvil.set_chain_id(5)
    assert anvil.rpc("eth_chainId") == "0x5"


@needs_anvil
def test_a_reorganisation_forgets_a_transaction(anvil: Anvil) -> None:
    anvil.mine(5)
    forgotten = pay_mined(anvil)
    head = anvil.block_number()
    anvil.reorganise(3)
    assert anvil.block_number() == head
    assert anvil.rpc("eth_getTransactionReceipt", forgotten) is None
    assert anvil.nonce(anvil.accounts[0].address) == 0
    anvil.roll_back(2)
    assert anvil.block_number() == head - 2


@needs_anvil
def test_a_refused_call_says_why(anvil: Anvil) -> None:
    with pytest.raises(RpcError, match="eth_nonsense"):
        anvil.rpc("eth_nonsense")


@needs_anvil
def test_blocks_come_by_the_clock() -> None:
    with Anvil(block_time_s=1, chain_id=4_242) as node:
        assert node.rpc("eth_chainId") == hex(4_242)
        deadline = time.monotonic() + LONG_S
        while node.block_number() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@needs_anvil
def test_a_chain_goes_on_after_a_restart_on_the_same_port(tmp_path: Path) -> None:
    with Anvil(directory=tmp_path) as node:
        pay_mined(node, 77)
        port = node.port
        node.stop()
        with pytest.raises(OSError, match="refused"):
            node.rpc("eth_blockNumber")
        node.start()
        assert node.port == port
        assert node.balance(EMPTY) == 77
        assert node.accounts
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@needs_anvil
def test_a_killed_node_can_start_again(anvil: Anvil) -> None:
    anvil.kill()
    with pytest.raises(StartError, match="does not run"):
        _ = anvil.pid
    anvil.start()
    assert anvil.block_number() == 0


@needs_anvil
def test_a_proxy_before_a_real_node(anvil: Anvil) -> None:
    with RpcProxy(anvil.address) as proxy:
        through = Anvil(port=proxy.address[1])  # only its calls are used: it is never started
        assert through.rpc("eth_chainId") == hex(31_337)
        proxy.claim_chain(99)
        assert through.rpc("eth_chainId") == hex(99)
        through.close()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="is not a program"):
        find_anvil(tmp_path / "anvil")
    with pytest.raises(StartError, match="is not a program"):
        Child([str(tmp_path / "nothing")], "nothing")


def test_a_program_that_ends_at_once_shows_its_last_words() -> None:
    child = Child(["/bin/sh", "-c", "echo no such luck; exit 3"], "shell")
    with pytest.raises(StartError, match="no such luck"):
        child.wait_for_line("ready", LONG_S)
    assert child.stop() == 3


def test_a_stubborn_program_is_killed() -> None:
    child = Child(["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], "stubborn")
    child.wait_for_line("up", LONG_S)
    assert child.stop(grace_s=0.3) == -9


class Talker:
    """An MQTT 5 client that waits for what it expects."""

    def __init__(self, broker: Broker, name: str, *, tls: ssl.SSLContext | None = None, keep_s: int = 0) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.heard: list[tuple[str, bytes]] = []
        self.reasons: list[str] = []
        self._changed = threading.Condition()
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self._note(self.reasons, str(reason))
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._note(self.reasons, str(reasons[0]))
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self._note(self.reasons, str(reason))
        self.client.on_message = lambda _c, _u, message: self._note(
            self.heard, (str(message.topic), bytes(message.payload))
        )
        if tls is not None:
            self.client.tls_set_context(tls)
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho leaves it untyped
        wishes.MaximumPacketSize = 65_536
        wishes.SessionExpiryInterval = keep_s
        host, port = broker.address
        self.client.connect(host, port, 30, bind_address=host, clean_start=keep_s == 0, properties=wishes)
        self.client.loop_start()
        self.expect(lambda: bool(self.reasons))

    def _note(self, where: list[T], what: T) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def expect(self, fulfilled: object) -> None:
        assert callable(fulfilled)
        with self._changed:
            assert self._changed.wait_for(fulfilled, LONG_S), (self.reasons, self.heard)

    def subscribe(self, topic: str) -> str:
        before = len(self.reasons)
        self.client.subscribe(topic, 1)
        self.expect(lambda: len(self.reasons) > before)
        return self.reasons[-1]

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        before = len(self.reasons)
        self.client.publish(topic, payload, 1, retain)
        self.expect(lambda: len(self.reasons) > before)
        return self.reasons[-1]

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@needs_mosquitto
def test_a_broker_carries_mqtt_5_and_keeps_what_it_saved() -> None:
    with Broker() as broker:
        port = broker.port
        listener = Talker(broker, "collector", keep_s=3_600)
        assert listener.subscribe("energy/#") == "Granted QoS 1"
        speaker = Talker(broker, "household")
        assert speaker.publish("energy/v1/a/h/status", b"online", retain=True) == "Success"
        listener.expect(lambda: listener.heard == [("energy/v1/a/h/status", b"online")])
        listener.leave()
        speaker.publish("energy/v1/a/h/reading", b"queued")
        speaker.leave()
        broker.stop()
        broker.start()
        assert broker.port == port
        again = Talker(broker, "collector", keep_s=3_600)
        again.expect(lambda: ("energy/v1/a/h/reading", b"queued") in again.heard)
        again.leave()


@needs_mosquitto
def test_a_killed_broker_forgets_what_it_acknowledged() -> None:
    with Broker() as broker:
        listener = Talker(broker, "collector", keep_s=3_600)
        listener.subscribe("energy/#")
        listener.leave()
        speaker = Talker(broker, "household")
        speaker.publish("energy/v1/a/h/reading", b"lost")
        speaker.leave()
        broker.kill()
        broker.start()
        again = Talker(broker, "collector", keep_s=3_600)
        again.subscribe("other/#")  # whatever was queued would have come before the answer to this
        assert again.heard == []
        again.leave()


def _context(authority: Authority, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


@needs_mosquitto
def test_tls_lets_a_household_write_to_its_own_topics_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with Broker(security=Security(authority)) as broker:
        collector = Talker(broker, "two", tls=_context(authority, authority.client("collector")))
        collector.subscribe("energy/#")
        household = Talker(broker, "one", tls=_context(authority, authority.client("0xabc")))
        assert household.publish("energy/v1/area/0xdef/reading", b"not mine") == "Not authorized"
        assert household.publish("energy/v1/area/0xabc/reading", b"mine") == "Success"
        collector.expect(lambda: collector.heard == [("energy/v1/area/0xabc/reading", b"mine")])
        household.leave()
        collector.leave()
        assert "energy/#" in broker.output()


@needs_mosquitto
@pytest.mark.parametrize("bad", ["expired", "another host"])
def test_bad_server_certificates_can_be_had(tmp_path: Path, bad: str) -> None:
    authority = Authority(tmp_path / "authority")
    security = (
        Security(authority, days=-1) if bad == "expired" else Security(authority, alternatives=("DNS:elsewhere",))
    )
    context = _context(authority, authority.client("0xabc"))
    with (
        Broker(security=security) as broker,
        socket.create_connection(broker.address, LONG_S) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match=r"expired|mismatch"),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


@needs_mosquitto
def test_a_broker_with_tls_refuses_a_client_without_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    assert (authority.client("x").key.stat().st_mode & 0o777) == 0o600
    with Broker(security=Security(authority)) as broker:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5)
        client.tls_set_context(_context(authority, None))
        # TLS 1.3 tells a client that it was refused only when it reads: it may connect, and is never let in.
        connected: list[bool] = []
        client.on_connect = lambda *_: connected.append(True)
        try:
            client.connect(*broker.address, bind_address=broker.address[0])
            for _ in range(20):
                if client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
                    break
        except OSError:
            pass
        assert connected == []
        client.disconnect()


def test_the_embedded_broker_has_no_access_rules(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="mosquitto"):
        Broker(embedded=True, security=Security(Authority(tmp_path)))
