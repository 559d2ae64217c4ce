"""The spine of the agent over a journal file and a fake chain: every stage real, everything around them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.adapters.chain_rows import ChainRows
from agent.adapters.evidence_rows import EvidenceRows
from agent.adapters.journal import FILE_NAME, Journal
from agent.adapters.meter_rows import MeterRows
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.domain.errors import JournalBusy
from agent.domain.outbox import Entry, Rules
from agent.domain.readings import ReadingState
from agent.domain.registers import RegisterRules
from agent.domain.samples import MeterRole
from agent.stages.confirm import Confirm
from agent.stages.desk import Desk
from agent.stages.follow import Follow
from agent.stages.poll import Poll
from agent.stages.record import Record
from agent.stages.seal import Seal
from agent.stages.submit import Fees, Submit
from tests.fakes.chain import Chain
from tests.fakes.proofs import TrueProofs
from tests.fakes.world import HOUSEHOLD, MARKET, FakeClock, FakeCodec, FakeKey, FakeMeter, HeardEvents

RULES = Rules(depth=2, agreement=2)
STAGES = ("poll", "record", "follow", "seal", "submit", "confirm")


class Crash(BaseException):
    """The process ends here; no stage may catch it."""


class Fuse:
    """Ends the process at the n-th of the points that it passes."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left = None
            raise Crash


class BrittleJournal(Journal):
    """A journal whose process may end around each commit, and which may be held by another."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        # What survives a power cut is tried on a real disk elsewhere; here the disk would only cost time.
        self._connection.execute("PRAGMA synchronous = OFF")
        self.fuse = fuse
        self.busy = False

    @contextmanager
    def transaction(self) -> Iterator[Journal]:
        if self._in_transaction():
            with super().transaction() as journal:
                yield journal
            return
        if self.busy:
            raise JournalBusy("held by another process")
        with super().transaction() as journal:
            yield journal
            self.fuse.burn()
        self.fuse.burn()


class Home:
    """One household's agent, which can be ended and started again at any moment."""

    def __init__(
        self, directory: Path, chain: Chain, clock: FakeClock, *, modulus: int | None = None, proven: bool = False
    ) -> None:
        self.directory, self.chain, self.clock, self.modulus = directory, chain, clock, modulus
        self.rules, self.proven = RULES, proven
        self.events = HeardEvents()
        self.meters = {role: FakeMeter(5000.0, modulus=modulus) for role in MeterRole}
        self.fuse = Fuse()
        chain.before_send = chain.after_send = self.fuse.burn
        self.restarts = -1
        self.fresh = False
        self.start()

    def start(self) -> None:
        self.restarts += 1
        self.journal = BrittleJournal(self.directory / FILE_NAME, self.fuse)
        self.journal.migrate()
        self.outbox, self.readings = OutboxRows(self.journal), ReadingRows(self.journal, HOUSEHOLD)
        self.meter_rows, self.chain_rows = MeterRows(self.journal), ChainRows(self.journal)
        key, fees = FakeKey(), Fees(most=10**9)
        self.polls = [
            Poll(
                role=role,
                meter=meter,
                clock=self.clock,
                events=self.events,
                rules=RegisterRules(11_000, 2, self.modulus),
                state=self.meter_rows.register(role),
            )
            for role, meter in self.meters.items()
        ]
        self.follow = Follow(
            nodes=self.chain,
            parameters=self.chain_rows,
            meters=self.meter_rows,
            readings=self.readings,
            outbox=self.outbox,
            journal=self.journal,
            clock=self.clock,
            events=self.events,
            agreement=self.rules.agreement,
            fresh=self.fresh,
        )
        self.record = Record(
            production=self.polls[0],
            consumption=self.polls[1],
            meters=self.meter_rows,
            readings=self.readings,
            journal=self.journal,
            contract=self.follow,
            clock=self.clock,
            events=self.events,
        )
        self.seal = Seal(readings=self.readings, journal=self.journal, signer=key, gate=self.follow, clock=self.clock)
        self.submit = Submit(
            outbox=self.outbox,
            readings=self.readings,
            journal=self.journal,
            nodes=self.chain,
            signer=key,
            codec=FakeCodec(),
            contract=MARKET,
            rules=self.rules,
            fees=fees,
            may_submit=self.follow.may_submit,
            clock=self.clock,
            events=self.events,
        )
        self.confirm = Confirm(
            outbox=self.outbox,
            readings=self.readings,
            journal=self.journal,
            nodes=self.chain,
            signer=key,
            codec=FakeCodec(),
            rules=self.rules,
            fees=fees,
            proofs=TrueProofs(self.chain, EvidenceRows(self.journal), RULES.depth) if self.proven else None,
            began_at=self.clock.now_s,
            clock=self.clock,
            events=self.events,
        )

        self.desk = Desk(
            account=HOUSEHOLD,
            contract=MARKET,
            most_fee=fees.most,
            outbox=self.outbox,
            journal=self.journal,
            nodes=self.chain,
            book=self.chain,
            codec=FakeCodec(),
            clock=self.clock,
        )

    def kill(self) -> None:
        """Throw everything in memory away; what is not committed is gone."""
        self.fuse.left = None
        self.journal.close()

    def turn(self, stage: str) -> bool:
        """One turn of one stage; a crash in it is followed by a restart."""
        parts: dict[str, Callable[[], bool]] = {
            "poll": self._poll,
            "record": self.record.run_once,
            "follow": self.follow.run_once,
            "seal": self.seal.run_once,
            "submit": self.submit.run_once,
            "confirm": self.confirm.run_once,
        }
        try:
            return parts[stage]()
        except Crash:
            self.kill()
            self.start()
            return False

    def turns(self, *stages: str) -> None:
        for stage in stages or STAGES:
            self.turn(stage)

    def _poll(self) -> bool:
        good = [poll.run_once() for poll in self.polls]
        return all(good)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for meter in self.meters.values():
            meter.pass_time(seconds)

    def interval(self) -> None:
        """Fifteen minutes in which everything has its turns, and the chain three blocks."""
        for _ in range(3):
            self.pass_time(300)
            self.turns("poll", "poll")
            self.turns()
            self.turns()
            self.chain.mine()
            self.turns("follow", "confirm")

    def settle(self, rounds: int = 12) -> None:
        """Let what is under way come to its end, without a new interval."""
        for _ in range(rounds):
            self.pass_time(15)
            self.turns("follow", "seal", "submit", "confirm", "confirm", "submit")
            self.chain.mine()

    def entries(self) -> list[Entry]:
        rows = self.journal.query("SELECT * FROM entry ORDER BY id")
        return [self.outbox._entry(row) for row in rows]  # the rows have no need of this question

    def states(self) -> list[ReadingState]:
        return [ReadingState(row["state"]) for row in self.journal.query("SELECT state FROM reading ORDER BY id")]
