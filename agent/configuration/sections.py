"""The configuration's sections. Each key's description says what would be right; messages and documentation use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic import model_validator as check_together

from agent.configuration.checks import (
    a_hash,
    a_host,
    a_node_url,
    a_time_zone,
    an_address,
    an_area,
    host_of,
    is_loopback,
)
from agent.configuration.line import parse_line
from agent.configuration.rule import RuleSettings
from agent.configuration.section import Section, Whole
from agent.configuration.sources import Settled
from agent.domain.lines import Line, SerialLine

STATE = Path("/var/lib/prosumer-agent")
_LEAST_NODES = 2
_CONSENSUS = '"qbft", "ibft2" or "clique"'


Address = Annotated[str, AfterValidator(an_address)]
Hash = Annotated[str, AfterValidator(a_hash)]
Area = Annotated[str, AfterValidator(an_area)]


class HouseholdSettings(Section):
    """Who this is; all of it is agreed with the registration office."""

    account: Address = Field(description="the household's Ethereum address, as 'prosumer-agent keys show' prints it")
    area: Area = Field(description="the distribution area's name, as the registration office writes it")
    rated_power_w: Whole = Field(
        gt=0, lt=2**24, description="the most that the connection carries, W; faster rises of a register are not booked"
    )


class MeterSettings(Section):
    """One physical meter."""

    profile: str = Field(min_length=1, description="the meter's model, as 'prosumer-agent probe' names it")
    line: str = Field(
        description="tcp://HOST:PORT, rtu-over-tcp://HOST:PORT or rtu:///dev/...?baud=9600&parity=N&stop=1"
    )
    unit: Whole = Field(default=1, ge=1, le=247, description="the meter's Modbus unit number, 1 to 247")
    direction: Literal["normal", "reversed"] = Field(
        default="normal", description='"reversed" if the meter is wired so that it counts the other register'
    )
    serial: str | None = Field(
        default=None, min_length=1, description="the meter's serial number; another meter's values are then refused"
    )

    @field_validator("line")
    @classmethod
    def _line_parses(cls, value: str) -> str:
        parse_line(value)
        return value

    @property
    def place(self) -> Line:
        """The line, taken apart."""
        return parse_line(self.line)


class MetersSettings(Section):
    """Both meters and how they are read."""

    models_directory: Path = Field(
        default=Path("/etc/prosumer-agent/models"), description="a folder of meter profiles of one's own"
    )
    confirmations: Whole = Field(
        default=60, ge=2, description="samples that must agree before a fall or a jump of a register is believed"
    )
    sample_every_s: Whole = Field(default=1, ge=1, le=60, description="seconds between two samples, 1 to 60")
    production: MeterSettings = Field(description="a section of its own")
    consumption: MeterSettings = Field(description="a section of its own")

    @check_together(mode="after")
    def _two_meters(self) -> Self:
        ours, other = self.production, self.consumption
        if ours.place.place != other.place.place:
            return self
        if ours.unit == other.unit:
            raise ValueError(
                f"both meters are unit {ours.unit} on one line; two meters on a line have different unit numbers"
            )
        if ours.place != other.place:
            kind = "baud, parity and stop" if isinstance(ours.place, SerialLine) else "scheme"
            raise ValueError(f"both meters are on {ours.place.place} with different settings; {kind} must be the same")
        return self


class NodeSettings(Section):
    """One full node."""

    area: Area = Field(description="the distribution area that runs it")
    allow_plain: bool = Field(default=False, description="true lets http:// leave this machine, readable on the way")
    url: str = Field(description="the node's JSON-RPC, https://HOST:PORT")
    ca_file: Path | None = Field(default=None, description="PEM of who vouches for it; the system's list without")

    @field_validator("url")
    @classmethod
    def _not_plain(cls, value: str, info: ValidationInfo) -> str:
        a_node_url(value)
        plain = value.startswith("http:") and not is_loopback(host_of(value))
        if plain and info.data.get("allow_plain") is False:
            raise ValueError(
                "is http:// to another machine, readable on the way; use https://, or set allow_plain = true"
            )
        return value


class PinSettings(Section):
    """The chain, the contract and who may seal blocks, as agreed at enrolment: nobody's word of now changes it."""

    id: Whole = Field(gt=0, lt=2**63, description="EIP-155 chain id, as the distribution company states it")
    genesis: Hash = Field(description="hash of block 0, as the distribution company states it")
    contract: Address = Field(description="the market's address, as the distribution company states it")
    code_hash: Hash = Field(
        description="keccak-256 of the market's runtime code, as the distribution company states it"
    )
    deployed_at: Whole = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="number of the block that made the market; 0 reads the chain from its start",
    )
    depth: Whole = Field(default=12, ge=0, le=100_000, description="blocks on top before a transaction may be final")
    unproven: bool = Field(
        default=False, description="true allows a development chain and a single node; every screen then says unproven"
    )
    consensus: Literal["qbft", "ibft2", "clique"] | None = Field(
        default=None, description=f"how blocks are sealed: {_CONSENSUS}, as the distribution company states it"
    )
    epoch: Whole = Field(
        default=30_000,
        gt=0,
        lt=2**63,
        description="blocks between two that list the validators, as in the genesis file",
    )
    checkpoint_block: Whole = Field(
        default=0, ge=0, lt=2**63, description="number of the block from which headers are followed; 0 is the genesis"
    )
    checkpoint_hash: Hash | None = Field(default=None, description="hash of that block; the genesis' own without")
    validators: tuple[Address, ...] | None = Field(
        default=None, description="addresses of those who may seal the block after the checkpoint, each once"
    )

    @field_validator("consensus")
    @classmethod
    def _sealed(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("unproven") is False:
            raise ValueError(
                f"is missing, and without it nothing can be proven; {_CONSENSUS} is right, as the distribution"
                " company states it, or chain.unproven = true for a development chain"
            )
        if value is not None and info.data.get("unproven"):
            raise ValueError("is set while chain.unproven is true, where nobody seals; leave one of the two out")
        return value

    @field_validator("checkpoint_hash")
    @classmethod
    def _checkpoint(cls, value: str | None, info: ValidationInfo) -> str | None:
        number, genesis = info.data.get("checkpoint_block"), info.data.get("genesis", value)
        if value is None and number:
            raise ValueError(f"is missing while chain.checkpoint_block is {number}; the hash of that block is right")
        if value is not None and number == 0 and value != genesis:
            raise ValueError(
                "is not chain.genesis, and chain.checkpoint_block is 0, the genesis; name the block that has this hash,"
                " or leave both out"
            )
        return value

    @field_validator("validators")
    @classmethod
    def _who_seals(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if value is None:
            if info.data.get("unproven") is False:
                raise ValueError(
                    "is missing; those who may seal blocks are right, as the distribution company states them"
                )
            return None
        if info.data.get("unproven"):
            raise ValueError("is set while chain.unproven is true, where nobody seals; leave one of the two out")
        if not value:
            raise ValueError("names nobody, so no block could be sealed; at least one address is right")
        twice = sorted({one for one in value if value.count(one) > 1})
        if twice:
            raise ValueError(f"names {', '.join(twice)} more than once, who would count as several; each once is right")
        return value


class ChainSettings(PinSettings):
    """The chain, and the full nodes that tell of it."""

    nodes: tuple[NodeSettings, ...] = Field(description="at least two [[chain.nodes]]; one if chain.unproven is true")

    @field_validator("nodes")
    @classmethod
    def _enough(cls, value: tuple[NodeSettings, ...], info: ValidationInfo) -> tuple[NodeSettings, ...]:
        least = 1 if info.data.get("unproven", True) else _LEAST_NODES
        if len(value) < least:
            raise ValueError(
                f"has {len(value)} full node(s), and nothing is final on one node's word;"
                f" at least {least} [[chain.nodes]] are right"
            )
        if len({node.url for node in value}) < len(value):
            raise ValueError("names one node twice, which then agrees with itself; each url once is right")
        return value


class FeeSettings(Section):
    """What the household pays for its transactions."""

    max_fee_per_gas_wei: Whole = Field(
        default=100_000_000_000, ge=0, description="the most for a unit of gas, wei; above it transactions wait"
    )
    bump_after_s: Whole = Field(
        default=180, ge=10, description="seconds without inclusion after which the fee is raised"
    )
    resend_after_s: Whole = Field(default=10, ge=1, description="seconds after which a lost transaction is sent again")


class JournalSettings(Section):
    """What is kept, and for how long."""

    directory: Path = Field(default=STATE, description="where the journal lives; mode 0700")
    minute_rows_days: Whole = Field(default=400, ge=1, description="days that minute rows are kept")
    readings_years: Whole = Field(default=10, ge=1, le=100, description="years that readings are kept, 1 to 100")


class KeystoreSettings(Section):
    """The household's key."""

    path: Path = Field(default=STATE / "keystore.json", description="the V3 keystore file")
    passphrase_file: Path | None = Field(
        default=None,
        description="a file of one line, mode 0600; the systemd credential keystore-passphrase comes first",
    )


class TelemetrySettings(Section):
    """The MQTT broker of the distribution company or the household."""

    enabled: bool = Field(default=False, description="true publishes live values and signed readings")
    allow_plain: bool = Field(default=False, description="true lets a plain connection leave this machine")
    tls: bool = Field(default=True, description="false connects in plain")
    host: Annotated[str, AfterValidator(a_host)] | None = Field(
        default=None, description="the broker's name or address"
    )
    port: Whole = Field(default=8883, ge=1, le=65_535, description="the broker's port; 8883 with TLS, 1883 without")
    ca_file: Path | None = Field(
        default=None, description="PEM of who vouches for the broker; the system's list without"
    )
    certificate_file: Path | None = Field(default=None, description="PEM of the household's certificate")
    key_file: Path | None = Field(default=None, description="PEM of the certificate's key, without a passphrase")
    username: str | None = Field(default=None, min_length=1, description="account at the broker, if it has accounts")
    password_file: Path | None = Field(default=None, description="a file with the account's password alone, mode 0600")
    acknowledgements: bool = Field(
        default=False, description="true subscribes to the collector's acknowledgements; else to nothing"
    )
    live_every_s: Whole = Field(default=10, ge=1, description="seconds between two live messages")
    replay_after_s: Whole = Field(
        default=60, ge=1, description="seconds without an acknowledgement after which readings are sent again"
    )

    @field_validator("host")
    @classmethod
    def _reachable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("enabled"):
            raise ValueError("is missing while telemetry.enabled is true; the broker's name or address is right")
        open_to_all = info.data.get("tls") is False and info.data.get("allow_plain") is False
        if value is not None and not is_loopback(value) and open_to_all:
            raise ValueError(
                f"{value} is another machine and tls is false, so anyone on the way can read it; set tls = true, or"
                " allow_plain = true"
            )
        return value

    @field_validator("key_file")
    @classmethod
    def _certified(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("certificate_file", value) is None:
            raise ValueError("is set without telemetry.certificate_file; set both or neither")
        return value

    @field_validator("password_file")
    @classmethod
    def _tells_households_apart(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("username", "") is None:
            raise ValueError("is set without telemetry.username; set both or neither")
        host = info.data.get("host")
        away = info.data.get("tls") and host is not None and not is_loopback(host)
        if value is None and away and info.data.get("certificate_file", "") is None:
            raise ValueError(
                f"is missing, and so is certificate_file: {host} could not tell this household from another;"
                " set certificate_file and key_file, or username and password_file"
            )
        return value


class InvoiceSettings(Section):
    """How invoices are shown."""

    language: Literal["en", "fa"] = Field(
        default="en", description='"en" for English, "fa" for Persian with Jalali months and dates'
    )
    time_zone: Annotated[str, AfterValidator(a_time_zone)] = Field(
        default="UTC", description="the time zone in which days and months begin, such as Asia/Tehran"
    )


class ClockSettings(Section):
    """How far this machine's clock is trusted."""

    require_synchronised: bool = Field(default=True, description="false signs although no time service sets the clock")
    step_tolerance_s: float = Field(default=2.0, gt=0, le=60, description="seconds; a larger difference is a step")


class LogSettings(Section):
    """What the agent says."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is said")
    format: Literal["json", "console"] = Field(default="json", description='"console" for a person at a terminal')


class Configuration(Settled):
    """All sections."""

    household: HouseholdSettings = Field(description="a section")
    meters: MetersSettings = Field(description="a section")
    chain: ChainSettings = Field(description="a section")
    fees: FeeSettings = FeeSettings()
    journal: JournalSettings = JournalSettings()
    keystore: KeystoreSettings = KeystoreSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    rule: RuleSettings = RuleSettings()
    invoice: InvoiceSettings = InvoiceSettings()
    clock: ClockSettings = ClockSettings()
    log: LogSettings = LogSettings()
