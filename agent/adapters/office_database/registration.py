"""The registration office's tables: requests, the personal data that came with each, and whose are in force.

Personal data are in one table, so that erasing them is deleting rows of it; everything else stays as the record of what
was decided, by whom and when.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)

from agent.adapters.office_database.database import Database, insert_once
from agent.adapters.office_database.schema import METADATA, Room, creating
from agent.domain.errors import BadRequest
from agent.domain.office_requests import KeptRequest, NewRequest, RequestKind, RequestState
from agent.domain.personal_data import PersonalData

_ADDRESS, _HASH = String(42), String(66)
# SQLite counts rows by itself only in a column of this very type.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

REQUESTS = Table(
    "registration_request",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", _ADDRESS, nullable=False),
    Column("household", _ADDRESS, nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("personal_data_hash", _HASH, nullable=False),
    Column("digest", _HASH, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("received_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("decided_by", Text, nullable=False, default=""),
    Column("why", Text, nullable=False, default=""),
    Column("transaction", Text, nullable=False, default=""),
    Column("erased_at", BigInteger),
    UniqueConstraint("digest"),
)
PERSONS = Table(
    "registration_person",
    METADATA,
    Column("request", _NUMBER, ForeignKey(REQUESTS.c.number), primary_key=True, autoincrement=False),
    Column("first_name", Text, nullable=False),
    Column("family_name", Text, nullable=False),
    Column("national_id", String(10), nullable=False, index=True),
    Column("salt", _HASH, nullable=False),
    Column("document", Text, nullable=False),
)
PROFILES = Table(
    "registration_profile",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract", _ADDRESS, primary_key=True),
    Column("household", _ADDRESS, primary_key=True),
    Column("request", _NUMBER, ForeignKey(REQUESTS.c.number), nullable=False),
    Column("since", BigInteger, nullable=False),
)

ROOM = Room("registration", (creating(REQUESTS, PERSONS, PROFILES),))


class RegistrationRows:
    """What the registration office keeps.

    Every method may raise DatabaseUnavailable and DatabaseInvalid.

    Args:
        database: opened with ``ROOM``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_in(self, new: NewRequest, received_at: int) -> KeptRequest:
        """Keep a verified request; one that is there already stays as it is.

        Args:
            new: the request.
            received_at: now, UTC epoch seconds.
        """
        with self._database.writing() as connection:
            fresh = insert_once(
                connection,
                REQUESTS,
                [
                    {
                        "kind": new.kind.value,
                        "chain_id": new.chain_id,
                        "contract": new.contract,
                        "household": new.household,
                        "created_at": new.created_at,
                        "personal_data_hash": new.personal_data_hash,
                        "digest": new.digest,
                        "state": RequestState.RECEIVED.value,
                        "received_at": received_at,
                    }
                ],
            )
            kept = _kept(connection.execute(select(REQUESTS).where(REQUESTS.c.digest == new.digest)).one())
            if fresh:
                connection.execute(
                    PERSONS.insert().values(
                        request=kept.number,
                        first_name=new.personal.first_name,
                        family_name=new.personal.family_name,
                        national_id=new.personal.national_id,
                        salt=f"0x{new.salt.hex()}",
                        document=new.document,
                    )
                )
            return kept

    def request(self, number: int) -> KeptRequest:
        """One request.

        Raises:
            BadRequest: there is none of that number.
        """
        with self._database.reading() as connection:
            return _one(connection, number)

    def requests(self, state: RequestState | None, household: str | None) -> list[KeptRequest]:
        """Requests in their order; None takes those of every state, or of every household."""
        wanted = select(REQUESTS).order_by(REQUESTS.c.number)
        if state is not None:
            wanted = wanted.where(REQUESTS.c.state == state.value)
        if household is not None:
            wanted = wanted.where(REQUESTS.c.household == household)
        with self._database.reading() as connection:
            return [_kept(row) for row in connection.execute(wanted)]

    def personal(self, number: int) -> PersonalData | None:
        """The personal data that came with a request; None once they are erased."""
        with self._database.reading() as connection:
            row = connection.execute(select(PERSONS).where(PERSONS.c.request == number)).one_or_none()
        return None if row is None else PersonalData(row.first_name, row.family_name, row.national_id)

    def document(self, number: int) -> bytes:
        """The request as the household signed it.

        Raises:
            BadRequest: its personal data were erased.
        """
        with self._database.reading() as connection:
            found = connection.execute(
                select(PERSONS.c.document).where(PERSONS.c.request == number)
            ).scalar_one_or_none()
        if found is None:
            raise BadRequest(f"request {number}: its personal data were erased; have the household ask anew")
        return str(found).encode("ascii")

    def profile(self, chain_id: int, contract: str, household: str) -> KeptRequest | None:
        """The approved request whose personal data are in force for a household; None if there are none."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(REQUESTS)
                .join(PROFILES, PROFILES.c.request == REQUESTS.c.number)
                .where(
                    PROFILES.c.chain_id == chain_id,
                    PROFILES.c.contract == contract,
                    PROFILES.c.household == household,
                )
            ).one_or_none()
        return None if row is None else _kept(row)

    def newest_approved_at(self, chain_id: int, contract: str, household: str) -> int | None:
        """When a household signed the newest of its approved requests, UTC epoch seconds; None if there is none."""
        with self._database.reading() as connection:
            newest: int | None = connection.execute(
                select(func.max(REQUESTS.c.created_at)).where(
                    REQUESTS.c.chain_id == chain_id,
                    REQUESTS.c.contract == contract,
                    REQUESTS.c.household == household,
                    REQUESTS.c.state == RequestState.APPROVED.value,
                )
            ).scalar_one()
        return newest

    def others_of(self, national_id: str, household: str) -> list[str]:
        """The other households whose personal data in force have a national ID."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(PROFILES.c.household)
                .join(PERSONS, PERSONS.c.request == PROFILES.c.request)
                .where(PERSONS.c.national_id == national_id, PROFILES.c.household != household)
                .distinct()
                .order_by(PROFILES.c.household)
            )
            return [str(row.household) for row in rows]

    def approved(self, number: int, by: str, at: int, transaction: str) -> None:
        """Mark a request as carried out; its personal data are in force from now on.

        Args:
            number: the request's.
            by: who approved it.
            at: now, UTC epoch seconds.
            transaction: hash of the transaction that carried it out; empty if an earlier run sent it.

        Raises:
            BadRequest: it was decided meanwhile.
        """
        with self._database.writing() as connection:
            kept = _one(connection, number)
            self._decide(connection, kept, RequestState.APPROVED, by, at, {"transaction": transaction})
            place = {"chain_id": kept.chain_id, "contract": kept.contract, "household": kept.household}
            connection.execute(PROFILES.delete().filter_by(**place))
            connection.execute(PROFILES.insert().values(**place, request=number, since=at))

    def refused(self, number: int, by: str, at: int, why: str) -> None:
        """Mark a request as refused.

        Args:
            number: the request's.
            by: who refused it.
            at: now, UTC epoch seconds.
            why: the reason, for the household.

        Raises:
            BadRequest: it was decided meanwhile.
        """
        with self._database.writing() as connection:
            self._decide(connection, _one(connection, number), RequestState.REFUSED, by, at, {"why": why})

    def erase(self, household: str, by: str, at: int) -> int:
        """Delete the personal data of a household, of every request it made; requests that wait are refused.

        Args:
            household: the account, checksummed.
            by: who erases.
            at: now, UTC epoch seconds.

        Returns:
            How many requests had some.
        """
        theirs = select(REQUESTS.c.number).where(REQUESTS.c.household == household)
        with self._database.writing() as connection:
            connection.execute(PROFILES.delete().where(PROFILES.c.household == household))
            numbers = connection.execute(select(PERSONS.c.request).where(PERSONS.c.request.in_(theirs))).scalars().all()
            connection.execute(PERSONS.delete().where(PERSONS.c.request.in_(numbers)))
            connection.execute(REQUESTS.update().where(REQUESTS.c.number.in_(numbers)).values(erased_at=at))
            connection.execute(
                REQUESTS.update()
                .where(REQUESTS.c.household == household, REQUESTS.c.state == RequestState.RECEIVED.value)
                .values(state=RequestState.REFUSED.value, decided_at=at, decided_by=by, why="personal data erased")
            )
        self._database.forget(PERSONS)
        return len(numbers)

    @staticmethod
    def _decide(  # noqa: PLR0917 - one statement's values
        connection: Connection, kept: KeptRequest, state: RequestState, by: str, at: int, more: dict[str, str]
    ) -> None:
        done = connection.execute(
            REQUESTS.update()
            .where(REQUESTS.c.number == kept.number, REQUESTS.c.state == RequestState.RECEIVED.value)
            .values(state=state.value, decided_at=at, decided_by=by, **more)
        )
        if done.rowcount != 1:
            raise BadRequest(f"request {kept.number} was {kept.state.value} meanwhile; that stands")


def _one(connection: Connection, number: int) -> KeptRequest:
    wanted: Select[tuple[object, ...]] = select(REQUESTS).where(REQUESTS.c.number == number)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise BadRequest(f"there is no request {number}; 'prosumer-operator requests list' shows which there are")
    return _kept(row)


def _kept(row: Row[tuple[object, ...]]) -> KeptRequest:
    facts = row._mapping  # noqa: SLF001 - the library's public name for a row by column
    return KeptRequest(
        number=facts["number"],
        kind=RequestKind(facts["kind"]),
        chain_id=facts["chain_id"],
        contract=facts["contract"],
        household=facts["household"],
        created_at=facts["created_at"],
        personal_data_hash=facts["personal_data_hash"],
        state=RequestState(facts["state"]),
        received_at=facts["received_at"],
        decided_at=facts["decided_at"],
        decided_by=facts["decided_by"],
        why=facts["why"],
        transaction=facts["transaction"],
        erased_at=facts["erased_at"],
    )
