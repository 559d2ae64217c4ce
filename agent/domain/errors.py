"""The agent's errors, by who handles them.

::

    AgentError
    ├── Retry                  the loop that met it tries again later, after its back-off
    │   ├── MeterSilent        a meter did not answer, or its answer did not fit the question
    │   ├── NodeUnavailable    no full node could be asked, or the one asked gave no usable answer
    │   │   ├── NodesDisagree  too few of them said the same
    │   │   └── AnswerTooLong  it would say more at once than is read
    │   ├── BrokerUnavailable  the broker is away or refused us
    │   ├── JournalBusy        another process holds the journal, or the disk is full: rows wait in memory
    │   ├── DatabaseUnavailable  the office's database is locked, full or away
    │   └── NotYet             what is asked for is right, but its time has not come (paused, not enrolled)
    ├── Refuse                 this one thing is refused for good; everything else goes on
    │   ├── MeterMisconfigured a setting, a register or an identity that a person must put right
    │   ├── BadReading         a reading that does not verify or that the contract will never take
    │   ├── BadEvidence        a header, seal, proof, transaction or receipt that does not check out
    │   │   └── Doubtful       no lie by itself: what is known, or pinned, may be what is wrong
    │   │       ├── UnknownSealer  in order, but sealed as if the validators were others than are known (yet)
    │   │       └── OtherRules     sealed by a known validator, and not as the pinned rules allow
    │   ├── Rejected           a transaction that the contract rejects
    │   └── BadRequest         a person's command that cannot be carried out as it was given
    └── Stop                   a person must act before this part may go on
        ├── Halted             submission stopped: foreign nonce, another chain, a changed contract
        ├── KeystoreInvalid    there is no key, or it cannot be opened
        ├── JournalDamaged     the journal's file is damaged; at start it is set aside and a new one begun
        ├── JournalTooNew      a newer release wrote the journal; it is left as it is
        ├── DatabaseInvalid    the office's database is damaged, another program's, or a newer release's
        ├── DiskFailed         the disk under the journal gives errors; the process ends and is started again
        └── ConfigurationInvalid  exit code 78

A stage catches ``Retry`` and ``Refuse``; ``Stop`` passes through it to whoever runs it.
"""

from __future__ import annotations


class AgentError(Exception):
    """Root of every error that the agent raises on purpose."""


class Retry(AgentError):
    """Nothing is wrong with the request; try it again later."""


class MeterSilent(Retry):
    """A meter did not answer in time, or answered something that does not fit the question."""


class NodeUnavailable(Retry):
    """No full node gave a usable answer."""


class NodesDisagree(NodeUnavailable):
    """Full nodes answered, and too few of them the same."""


class AnswerTooLong(NodeUnavailable):
    """A node's answer is longer than is read; a question about less would be answered."""


class BrokerUnavailable(Retry):
    """The MQTT broker cannot be reached, or refused the connection."""


class JournalBusy(Retry):
    """The journal cannot take rows just now: locked, disk full, or mounted read-only."""


class DatabaseUnavailable(Retry):
    """The office's database takes nothing just now: locked, full, or not to be reached."""


class NotYet(Retry):
    """The request is right but its time has not come, for example while the market is paused."""


class Refuse(AgentError):
    """This one thing is refused for good; the rest goes on."""


class MeterMisconfigured(Refuse):
    """A meter's setting, register or identity is wrong, and a person must put it right."""


class BadReading(Refuse):
    """A reading that does not verify, or that the contract can never accept."""


class BadEvidence(Refuse):
    """A header, a seal, a proof, a transaction or a receipt that does not check out: it proves nothing."""


class Doubtful(BadEvidence):
    """It does not check out by what is known and pinned, which may be what is wrong: nobody lied by that alone."""


class UnknownSealer(Doubtful):
    """A block is sealed as if the validators were others than those that are known.

    That is a lie, or they changed by votes: following the headers from the pinned block shows which.
    """


class OtherRules(Doubtful):
    """A known validator sealed a block that the pinned rules do not allow: the pins are wrong, and not who tells it."""


class Rejected(Refuse):
    """The contract rejects a transaction.

    Attributes:
        error: name of the contract's error, for example ``RegisterFell``.
        facts: the error's arguments by name.
    """

    def __init__(self, error: str, facts: dict[str, object] | None = None) -> None:
        self.error = error
        self.facts = facts or {}
        told = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        super().__init__(f"the contract rejects it: {error}({told})")


class BadRequest(Refuse):
    """A person's command cannot be carried out as it was given."""


class Stop(AgentError):
    """A person must act before this part may go on."""


class Halted(Stop):
    """Submission is stopped, because going on could lose or double a transaction."""


class KeystoreInvalid(Stop):
    """There is no key, or it cannot be opened."""


class JournalDamaged(Stop):
    """The journal's file is damaged."""


class JournalTooNew(Stop):
    """The journal was written by a newer release."""


class DatabaseInvalid(Stop):
    """The office's database is damaged, another program's, or was written by a newer release."""


class DiskFailed(Stop):
    """The disk under the journal gives errors."""


class ConfigurationInvalid(Stop):
    """The configuration is wrong.

    Attributes:
        problems: one sentence a problem, each naming its key.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
