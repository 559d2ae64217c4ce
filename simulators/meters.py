"""Both meters of a household on real wires, to run: `python -m simulators.meters --help`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators.control import CommandError, Commands, ControlSocket, converse, whole_number
from simulators.eastron import MODELS, Model
from simulators.frames import Framing, Request, exception_pdu
from simulators.household import Household, SimulatedTime, Site
from simulators.instrument import Counts, Flow, Instrument
from simulators.serving import Emission, Server
from simulators.wires import PtyWire, TcpWire

PRODUCTION: Final = "production"
CONSUMPTION: Final = "consumption"
_GATEWAY_TARGET_SILENT: Final = 11


class Wiring(StrEnum):
    """How the two meters are wired to the computer unit."""

    SPLIT = "split"
    """Production on Modbus TCP, consumption on a serial line of its own."""
    TCP = "tcp"
    """Each on a Modbus TCP port of its own."""
    LINE = "line"
    """Both on one serial line, units 1 and 2."""
    LINES = "lines"
    """Each on a serial line of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate.

    Attributes:
        wiring: How the meters are wired.
        seed: The household's seed; serial numbers follow from it.
        start_epoch: Simulated UTC seconds at the start.
        speed: Simulated seconds a real second.
        directory: Where the serial lines' links go.
        production_model: A name of `eastron.MODELS`.
        consumption_model: The same.
        production_counts: Which register of the production meter rises.
        consumption_counts: Which register of the consumption meter rises.
        production_wh: The production meter's register at the start.
        consumption_wh: The consumption meter's register at the start.
        ports: TCP ports of production and consumption; 0 lets the system choose.
        site: Where the household stands and what is on its roof.
    """

    directory: Path
    wiring: Wiring = Wiring.SPLIT
    seed: int = 1
    start_epoch: float = 0.0
    speed: float = 1.0
    production_model: str = "eastron_sdm120"
    consumption_model: str = "eastron_sdm630"
    production_counts: Counts = Counts.EXPORT
    consumption_counts: Counts = Counts.IMPORT
    production_wh: int = 1_234_567
    consumption_wh: int = 2_345_678
    ports: tuple[int, int] = (0, 0)
    site: Site = field(default_factory=Site)


class HouseholdMeters:
    """The two meters of a household, being served.

    Args:
        plan: What to simulate.
        clock: Monotonic seconds that the household's time follows.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.time = SimulatedTime(plan.start_epoch, plan.speed, clock)
        self.household = Household(plan.seed, plan.site, installed_at=plan.start_epoch)
        self.production = Instrument(
            _model(plan.production_model),
            unit=1,
            serial=21_000_000 + plan.seed,
            counts=plan.production_counts,
            flow=self._production_flow,
            opening_wh=plan.production_wh,
        )
        self.consumption = Instrument(
            _model(plan.consumption_model),
            unit=2 if plan.wiring is Wiring.LINE else 1,
            serial=63_000_000 + plan.seed,
            counts=plan.consumption_counts,
            flow=self._consumption_flow,
            opening_wh=plan.consumption_wh,
        )
        self._wires: dict[str, TcpWire | PtyWire] = {}
        self._servers: dict[str, Server] = {}
        with ExitStack() as stack:  # a start that fails halfway leaves nothing open
            self._serve(stack)
            self._stack = stack.pop_all()

    def addresses(self) -> dict[str, dict[str, object]]:
        """Say where each meter is, what it is, and what its register shows, for JSON."""
        return {
            name: {
                **self._place(name),
                "unit": instrument.unit,
                "model": instrument.model.name,
                "counts": instrument.counts.value,
                **instrument.standing().as_dict(),
            }
            for name, instrument in self._instruments().items()
        }

    def registers(self) -> dict[str, object]:
        """Give both meters' registers exactly as they stand on the wire, and the household's time."""
        return {
            "time": self.time.now(),
            **{name: instrument.standing().as_dict() for name, instrument in self._instruments().items()},
        }

    def unplug(self, name: str) -> None:
        """Take a meter's serial adapter away (or break its TCP connections)."""
        wire, server = self._wires[name], self._servers[name]
        server.call(wire.unplug if isinstance(wire, PtyWire) else wire.reset_connections)

    def replug(self, name: str) -> None:
        """Bring the serial adapter back behind the same link, as a new device."""
        wire, server = self._wires[name], self._servers[name]
        if isinstance(wire, PtyWire):
            server.call(wire.replug)

    def commands(self) -> Commands:
        """Give what may be asked over a control line."""
        one = self._one
        return {
            "registers": lambda _: self.registers(),
            "addresses": lambda _: self.addresses(),
            "silence": one(lambda meter, _: meter.silence()),
            "restore": one(lambda meter, _: meter.restore()),
            "freeze": one(lambda meter, _: meter.freeze()),
            "nan": one(lambda meter, _: meter.nan()),
            "swap-words": one(lambda meter, _: meter.swap_words()),
            "zero": one(lambda meter, more: meter.zero(whole_number(more, 0, 1))),
            "spike": one(lambda meter, more: meter.spike(whole_number(more, 0, 1))),
            "reset": one(lambda meter, more: meter.reset(whole_number(more, 0, 0))),
            "refuse": one(lambda meter, more: meter.refuse(whole_number(more, 0, 4))),
            "swap": one(lambda meter, more: meter.swap(whole_number(more, 0), whole_number(more, 1))),
            "unplug": lambda words: self._wired(words, self.unplug),
            "replug": lambda words: self._wired(words, self.replug),
        }

    def close(self) -> None:
        """Stop serving and remove the links."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self, stack: ExitStack) -> None:
        plan = self.plan
        if plan.wiring is Wiring.LINE:
            wire: TcpWire | PtyWire = PtyWire(plan.directory / "meters")
            self._start(stack, wire, {PRODUCTION: self.production, CONSUMPTION: self.consumption})
            return
        serial = {
            Wiring.SPLIT: {CONSUMPTION},
            Wiring.TCP: set[str](),
            Wiring.LINES: {PRODUCTION, CONSUMPTION},
        }[plan.wiring]
        for (name, instrument), port in zip(self._instruments().items(), plan.ports, strict=True):
            wire = PtyWire(plan.directory / name) if name in serial else TcpWire(port=port)
            self._start(stack, wire, {name: instrument})

    def _start(self, stack: ExitStack, wire: TcpWire | PtyWire, instruments: Mapping[str, Instrument]) -> None:
        by_unit = {instrument.unit: instrument for instrument in instruments.values()}

        def handle(request: Request) -> Iterable[Emission]:
            instrument = by_unit.get(request.unit)
            if instrument is not None:
                return instrument.handle(request)
            if request.framing is Framing.TCP:  # a gateway says that nobody answers there; a line is silent
                return [Emission(request.frame(exception_pdu(request.function, _GATEWAY_TARGET_SILENT)))]
            return []

        server = stack.enter_context(Server(wire, handle, name="+".join(instruments)))
        for name in instruments:
            self._wires[name] = wire
            self._servers[name] = server

    def _instruments(self) -> dict[str, Instrument]:
        return {PRODUCTION: self.production, CONSUMPTION: self.consumption}

    def _place(self, name: str) -> dict[str, object]:
        wire = self._wires[name]
        if isinstance(wire, PtyWire):
            return {"wire": "rtu", "path": str(wire.link)}
        return {"wire": "tcp", "host": wire.address[0], "port": wire.address[1]}

    def _production_flow(self) -> Flow:
        now = self.time.now()
        return Flow(self.household.produced_wh(now), self.household.metered_production_w(now))

    def _consumption_flow(self) -> Flow:
        now = self.time.now()
        return Flow(self.household.consumed_wh(now), self.household.metered_consumption_w(now))

    def _one(self, act: Callable[[Instrument, list[str]], None]) -> Callable[[list[str]], Mapping[str, object]]:
        """Make a command whose first word names a meter, or that goes to both without one."""

        def command(words: list[str]) -> Mapping[str, object]:
            instruments = self._instruments()
            if not words:
                chosen = list(instruments.values())
            elif words[0] in instruments:
                chosen = [instruments[words[0]]]
            else:
                raise CommandError(f"no meter {words[0]!r}: give {PRODUCTION} or {CONSUMPTION}")
            for instrument in chosen:
                act(instrument, words[1:])
            return {}

        return command

    def _wired(self, words: list[str], act: Callable[[str], None]) -> Mapping[str, object]:
        if not words or words[0] not in self._wires:
            raise CommandError(f"no meter {words[0] if words else ''!r}: give {PRODUCTION} or {CONSUMPTION}")
        act(words[0])
        return {}


def _model(name: str) -> Model:
    if name not in MODELS:
        raise ValueError(f"no meter model {name!r}: give one of {', '.join(sorted(MODELS))}")
    return MODELS[name]


def _epoch(text: str) -> float:
    if text == "now":
        return datetime.now(UTC).timestamp()
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone: write 2026-06-21T05:00:00Z")
    return moment.timestamp()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators.meters",
        description="Serve the two meters of a simulated household on real Modbus wires.",
        epilog="Commands, one a line on standard input or the control socket: registers, addresses, "
        "silence|restore|freeze|nan|swap-words [METER], zero|spike|reset|refuse [METER [NUMBER]], "
        "swap METER SERIAL REGISTER_WH, unplug|replug METER, quit. METER is production or consumption.",
    )
    parser.add_argument("--wiring", choices=[wiring.value for wiring in Wiring], default="split")
    parser.add_argument("--seed", type=int, default=1, help="the household's seed (default 1)")
    parser.add_argument("--start", type=_epoch, default="now", help="simulated start: now, or ISO 8601 with zone")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds a real second (default 1)")
    parser.add_argument("--directory", type=Path, help="where serial links and the control socket go")
    for name, model in ((PRODUCTION, "eastron_sdm120"), (CONSUMPTION, "eastron_sdm630")):
        counts = Counts.EXPORT if name == PRODUCTION else Counts.IMPORT
        parser.add_argument(f"--{name}-model", choices=sorted(MODELS), default=model)
        parser.add_argument(f"--{name}-counts", choices=[each.value for each in Counts], default=counts.value)
        parser.add_argument(f"--{name}-port", type=int, default=0, help="TCP port (default: the system's choice)")
    parser.add_argument("--production-wh", type=int, default=1_234_567, help="register at the start, Wh")
    parser.add_argument("--consumption-wh", type=int, default=2_345_678, help="register at the start, Wh")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve until `quit`, SIGINT or SIGTERM.

    Returns:
        0 when it was told to stop.
    """
    asked = _parser().parse_args(arguments)
    finished = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: finished.set())
    with ExitStack() as stack:
        directory = asked.directory
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meters-")))
        directory.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            directory=directory,
            wiring=Wiring(asked.wiring),
            seed=asked.seed,
            start_epoch=asked.start,
            speed=asked.speed,
            production_model=asked.production_model,
            consumption_model=asked.consumption_model,
            production_counts=Counts(asked.production_counts),
            consumption_counts=Counts(asked.consumption_counts),
            production_wh=asked.production_wh,
            consumption_wh=asked.consumption_wh,
            ports=(asked.production_port, asked.consumption_port),
        )
        meters = stack.enter_context(HouseholdMeters(plan))

        def leave(_: list[str]) -> Mapping[str, object]:
            finished.set()
            return {}

        commands = {**meters.commands(), "quit": leave}
        control = stack.enter_context(ControlSocket(directory / "control", commands))
        ready = {
            "ready": True,
            **meters.addresses(),
            "control": str(control.path),
            "start": plan.start_epoch,
            "speed": plan.speed,
        }
        print(json.dumps(ready), flush=True)
        # The end of standard input ends nothing: a service has none. A daemon thread, since reading cannot be woken.
        threading.Thread(target=converse, args=(commands, sys.stdin, sys.stdout), daemon=True).start()
        finished.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
