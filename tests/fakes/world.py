"""A household's surroundings in memory: a clock, two meters, a key, and a ear for events. No threads, no sockets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from agent.domain.errors import MeterMisconfigured, MeterSilent
from agent.domain.fees import Fee
from agent.domain.market_calls import MarketCall
from agent.domain.readings import Reading, SignedReading
from agent.domain.samples import Measured
from tests.fakes import trading

# 2026-11-22T00:00:00Z: a whole quarter hour, and after the clock's build date.
MIDNIGHT_S = 1_795_305_600
HOUSEHOLD = "0x" + "11" * 20
MARKET = "0x" + "22" * 20


@dataclass
class FakeClock:
    """Wall and monotonic time that move only when they are told to."""

    wall_ms: int = MIDNIGHT_S * 1000
    mono: float = 1000.0
    good: bool = True

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self.mono

    def trusted(self) -> bool:
        return self.good

    @property
    def now_s(self) -> int:
        return self.wall_ms // 1000

    def advance(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
        self.mono += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.wall_ms += round(seconds * 1000)


@dataclass
class HeardEvents:
    """Keeps what the stages said."""

    heard: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **facts: object) -> None:
        self.heard.append(("info", event, facts))

    def warning(self, event: str, **facts: object) -> None:
        self.heard.append(("warning", event, facts))

    def error(self, event: str, **facts: object) -> None:
        self.heard.append(("error", event, facts))

    def names(self) -> list[str]:
        return [name for _, name, _ in self.heard]

    def last(self, name: str) -> dict[str, object]:
        return next(facts for _, heard, facts in reversed(self.heard) if heard == name)


@dataclass
class FakeMeter:
    """A meter with a true register, and a fault on top."""

    wh: float = 0.0
    power_w: float = 1000.0
    modulus: int | None = None
    serial: str | None = "A1"
    fault: str = ""
    blip: str = ""
    """a fault of one read"""
    good_reads: int = 0

    def pass_time(self, seconds: float) -> None:
        self.wh += self.power_w * seconds / 3600

    def raw(self) -> int:
        whole = int(self.wh + 1e-6)
        return whole % self.modulus if self.modulus else whole

    def read(self) -> Measured:
        if self.fault == "silent":
            raise MeterSilent("no reply within 1 s")
        if self.fault == "misconfigured":
            raise MeterMisconfigured("application is 0; set it to 7")
        raw: int | None = self.raw()
        wrong, self.blip = self.fault or self.blip, ""
        self.good_reads = 0 if wrong else self.good_reads + 1
        if wrong == "unknown":
            raw = None
        elif wrong == "zero":
            raw = 0
        elif wrong == "spike":
            raw = self.raw() * 1000 + 1_000_000
        return Measured(raw, round(self.power_w), 230.0, 4.0, 50.0, self.serial, b"\x01\x02")


class FakeKey:
    """Signs so that a changed reading shows; its transactions are JSON that the fake chain reads."""

    address = HOUSEHOLD

    def sign_reading(self, reading: Reading) -> SignedReading:
        return SignedReading(reading, _seal(reading))

    def made_by(self, signed: SignedReading) -> str:
        return self.address if signed.signature == _seal(signed.reading) else "0x" + "99" * 20

    def sign_transaction(  # noqa: PLR0917 - as the port
        self, nonce: int, to: str, data: bytes, gas: int, fee: Fee, value: int
    ) -> tuple[str, bytes]:
        fields = {
            "nonce": nonce,
            "to": to,
            "data": data.hex(),
            "gas": gas,
            "fee": [fee.max_fee, fee.priority_fee],
            "value": value,
        }
        raw = json.dumps(fields).encode()
        return "0x" + hashlib.sha256(raw).hexdigest(), raw


def _seal(reading: Reading) -> bytes:
    return (hashlib.sha512(repr(reading).encode()).digest() + b"\x1b")[:65]


class FakeCodec:
    """Calldata that the fake contract reads."""

    def report(self, words: list[int]) -> bytes:
        return json.dumps(words).encode()

    def encoded(self, call: MarketCall) -> bytes:
        return trading.encoded(call)

    def understood(self, data: bytes) -> MarketCall | None:
        return trading.understood(data)
