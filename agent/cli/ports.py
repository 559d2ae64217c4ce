"""What the commands need to see of meters, full nodes, broker, journal and keystore.

The commands are handed these by ``agent.compose``; tests hand them fakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from agent.domain.attested import Attested
from agent.domain.fees import FeeQuote
from agent.domain.lies import Lie
from agent.domain.lines import Line
from agent.domain.market import Head, HouseholdState, Parameters, Settlement
from agent.domain.outbox import State
from agent.domain.readings import Flags, ReadingState
from agent.domain.registers import RegisterState
from agent.domain.samples import Measured, MeterRole
from agent.domain.telemetry import JournalEvent


class Point(Protocol):
    """One value of a meter, raw and scaled; see the drivers' ``PointView``."""

    @property
    def name(self) -> str: ...  # noqa: D102 - told once, at the drivers' dataclass; so below
    @property
    def function(self) -> int: ...  # noqa: D102 - as above
    @property
    def address(self) -> int: ...  # noqa: D102 - as above
    @property
    def raw(self) -> bytes: ...  # noqa: D102 - as above
    @property
    def value(self) -> Decimal | str | None: ...  # noqa: D102 - as above
    @property
    def unit(self) -> str: ...  # noqa: D102 - as above
    @property
    def confidence(self) -> str: ...  # noqa: D102 - as above
    @property
    def remark(self) -> str: ...  # noqa: D102 - as above


class Setting(Protocol):
    """A setting inside a meter, and the verdict on it; see the drivers' ``SettingVerdict``."""

    @property
    def name(self) -> str: ...  # noqa: D102 - told once, at the drivers' dataclass; so below
    @property
    def found(self) -> str: ...  # noqa: D102 - as above
    @property
    def ok(self) -> bool | None: ...  # noqa: D102 - as above
    @property
    def sentence(self) -> str: ...  # noqa: D102 - as above


class Inspection(Protocol):
    """Everything a meter says; see the drivers' ``Inspection``."""

    @property
    def profile(self) -> str: ...  # noqa: D102 - told once, at the drivers' dataclass; so below
    @property
    def line(self) -> str: ...  # noqa: D102 - as above
    @property
    def unit(self) -> int: ...  # noqa: D102 - as above
    @property
    def serial(self) -> str | None: ...  # noqa: D102 - as above
    @property
    def points(self) -> Sequence[Point]: ...  # noqa: D102 - as above
    @property
    def settings(self) -> Sequence[Setting]: ...  # noqa: D102 - as above


class Answer(Protocol):
    """A meter that answered on a line; see ``agent.adapters``' ``Answer``."""

    @property
    def line(self) -> Line: ...  # noqa: D102 - told once, at the dataclass; so below
    @property
    def unit(self) -> int: ...  # noqa: D102 - as above
    @property
    def profile(self) -> str: ...  # noqa: D102 - as above
    @property
    def certain(self) -> bool: ...  # noqa: D102 - as above
    @property
    def inspection(self) -> Inspection: ...  # noqa: D102 - as above


class TextSigner(Protocol):
    """The household's key, as far as texts go."""

    @property
    def address(self) -> str:
        """The account, checksummed."""

    def sign_text(self, text: str) -> str:
        """Sign by EIP-191."""


class MeterView(Protocol):
    """A configured meter, to be looked at."""

    def inspect(self) -> Inspection:
        """Everything it says; raises MeterSilent or MeterMisconfigured."""

    def read(self) -> Measured:
        """One cycle as the daemon reads it; raises MeterSilent or MeterMisconfigured."""

    def close(self) -> None:
        """Let go of the line."""


class NodeStatus(Protocol):
    """How one full node stands."""

    @property
    def name(self) -> str:
        """Host and port."""

    @property
    def area(self) -> str:
        """The distribution area that runs it."""

    @property
    def ok(self) -> bool:
        """Whether it is used."""

    @property
    def head(self) -> Head | None:
        """Its newest block."""

    @property
    def problem(self) -> str | None:
        """Why it is not used, in words."""

    @property
    def strange(self) -> bool:
        """Whether that is because its newest block is sealed by somebody unknown."""


class Nodes(Protocol):
    """The full nodes. Every method but ``statuses`` and ``close`` raises NodeUnavailable when none answers."""

    def statuses(self) -> Sequence[NodeStatus]:
        """How each stands, asked just now."""

    def household(self) -> HouseholdState:
        """What the contract holds of the household."""

    def parameters(self) -> Parameters:
        """The market's parameters."""

    def balance(self) -> int:
        """The account's balance, wei."""

    def fee_quote(self) -> FeeQuote:
        """What gas costs."""

    def settlement(self) -> Settlement:
        """What the market's money is called on screens."""

    def close(self) -> None:
        """Give up all connections."""


class Broker(Protocol):
    """The MQTT broker."""

    def check(self, deadline_s: float) -> None:
        """Wait for a session; raises BrokerUnavailable with the reason."""

    def close(self, deadline_s: float) -> None:
        """End the session."""


class Reading(Protocol):
    """One reading as the journal shows it; see ``ReadingView``."""

    @property
    def interval_end(self) -> int: ...  # noqa: D102 - told once, at the journal's dataclass; so below
    @property
    def epoch(self) -> int: ...  # noqa: D102 - as above
    @property
    def sequence(self) -> int | None: ...  # noqa: D102 - as above
    @property
    def taken_at(self) -> int: ...  # noqa: D102 - as above
    @property
    def produced_wh(self) -> int: ...  # noqa: D102 - as above
    @property
    def consumed_wh(self) -> int: ...  # noqa: D102 - as above
    @property
    def flags(self) -> Flags: ...  # noqa: D102 - as above
    @property
    def state(self) -> ReadingState: ...  # noqa: D102 - as above
    @property
    def tx_hash(self) -> str: ...  # noqa: D102 - as above
    @property
    def block(self) -> int | None: ...  # noqa: D102 - as above
    @property
    def why(self) -> str: ...  # noqa: D102 - as above


class Status(Protocol):
    """The agent at one glance; see ``StatusView``."""

    @property
    def epoch(self) -> int: ...  # noqa: D102 - told once, at the journal's dataclass; so below
    @property
    def running(self) -> bool: ...  # noqa: D102 - as above
    @property
    def registers(self) -> Mapping[MeterRole, RegisterState]: ...  # noqa: D102 - as above
    @property
    def newest_minute(self) -> int | None: ...  # noqa: D102 - as above
    @property
    def readings(self) -> Mapping[ReadingState, int]: ...  # noqa: D102 - as above
    @property
    def entries(self) -> Mapping[State, int]: ...  # noqa: D102 - as above
    @property
    def halted(self) -> str | None: ...  # noqa: D102 - as above
    @property
    def parameters(self) -> Parameters | None: ...  # noqa: D102 - as above
    @property
    def household(self) -> tuple[HouseholdState, Head] | None: ...  # noqa: D102 - as above
    @property
    def telemetry_mark(self) -> tuple[int, int]: ...  # noqa: D102 - as above
    @property
    def events(self) -> Sequence[JournalEvent]: ...  # noqa: D102 - as above
    @property
    def lies(self) -> Sequence[Lie]: ...  # noqa: D102 - as above
    @property
    def attested(self) -> Attested | None: ...  # noqa: D102 - as above
