"""What the collector stores: signed readings, how households stand, what will not come, and what was refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    SmallInteger,
    String,
    Table,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from agent.adapters.office_database.database import Database
from agent.adapters.office_database.schema import METADATA, Room, creating
from agent.domain.collecting import Kept, Key, Lost, Refusal
from agent.domain.errors import ConfigurationInvalid
from agent.domain.holding import Holding, Hole, Why
from agent.domain.readings import Flags, Reading
from agent.domain.signing import SigningDomain
from agent.domain.silence import Quiet
from agent.domain.standing import Account, Standing, ranges_left_out

_ADDRESS = 42
_WORD = 32
_AREA = 64
# Keys that one question asks for; SQLite takes 32,766 values in a statement.
_MOST_KEYS = 500

MARKET = Table(
    "collected_market",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", String(_ADDRESS), nullable=False),
)

READINGS = Table(
    "collected_reading",
    METADATA,
    Column("household", String(_ADDRESS), primary_key=True),
    Column("epoch", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("taken_at", BigInteger, nullable=False),
    Column("produced_wh", BigInteger, nullable=False),
    Column("consumed_wh", BigInteger, nullable=False),
    Column("flags", SmallInteger, nullable=False),
    Column("interval_end", BigInteger, nullable=False),
    Column("period_s", Integer, nullable=False),
    Column("signature", LargeBinary(65), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # the key is the table: half the file, and half of what is written
)

STANDINGS = Table(
    "collected_household",
    METADATA,
    Column("household", String(_ADDRESS), primary_key=True),
    Column("area", String(_AREA), nullable=False),
    Column("enrolled", Boolean, nullable=False),
    Column("mark_epoch", SmallInteger, nullable=False),
    Column("mark_sequence", Integer, nullable=False),
    Column("acknowledged_epoch", SmallInteger, nullable=False),
    Column("acknowledged_sequence", Integer, nullable=False),
    Column("highest_epoch", SmallInteger, nullable=False),
    Column("highest_sequence", Integer, nullable=False),
    Column("newest", BigInteger),
    Column("heard_at", BigInteger),
    Column("period_s", Integer, nullable=False),
    Column("online", Boolean),
    Column("online_at", BigInteger),
    Column("quiet", String(_WORD)),
    Column("quiet_at", BigInteger),
)

HOLES = Table(
    "collected_hole",
    METADATA,
    Column("household", String(_ADDRESS), primary_key=True),
    Column("epoch", SmallInteger, primary_key=True, autoincrement=False),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("why", String(_WORD), primary_key=True),
    Column("last", Integer),
    Column("found_at", BigInteger, nullable=False),
)

REFUSED = Table(
    "collected_refusal",
    METADATA,
    Column("household", String(_ADDRESS), primary_key=True),
    Column("reason", String(_WORD), primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

COLLECTED = Room("collected", (creating(MARKET, READINGS, STANDINGS, HOLES, REFUSED),))


class CollectedRows:
    """The collector's tables inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, readings: Sequence[Kept]) -> Mapping[Key, tuple[int, bool]]:
        """Store readings, of which no two have the same key; one that is stored already stays as it is."""
        if not readings:
            return {}
        keys = (READINGS.c.household, READINGS.c.epoch, READINGS.c.sequence)
        statement = self._insert(READINGS).on_conflict_do_nothing().returning(*keys)
        new = {_key(row) for row in self._connection.execute(statement, [_reading_row(kept) for kept in readings])}
        stored = {kept.key: (kept.heard.signed.reading.packed(), True) for kept in readings if kept.key in new}
        known = [kept.key for kept in readings if kept.key not in new]
        for begin in range(0, len(known), _MOST_KEYS):
            asked = select(READINGS).where(tuple_(*keys).in_(known[begin : begin + _MOST_KEYS]))
            stored |= {_key(row): (_reading(row).packed(), False) for row in self._connection.execute(asked)}
        return stored

    def put(self, standings: Iterable[Standing]) -> None:
        """Store how households stand."""
        rows = [_standing_row(standing) for standing in standings]
        if rows:
            statement = self._insert(STANDINGS)
            changed = {column.name: statement.excluded[column.name] for column in STANDINGS.c if not column.primary_key}
            self._connection.execute(statement.on_conflict_do_update(index_elements=["household"], set_=changed), rows)

    def lose(self, lost: Sequence[Lost]) -> None:
        """Store what will not come; the same twice is once."""
        rows = [
            {
                "household": one.household,
                "epoch": one.hole.epoch,
                "first": one.hole.first,
                "last": one.hole.last,
                "why": str(one.hole.why),
                "found_at": one.at,
            }
            for one in lost
        ]
        if rows:
            self._connection.execute(self._insert(HOLES).on_conflict_do_nothing(), rows)

    def count(self, refused: Mapping[tuple[str, Refusal], int], at: int) -> None:
        """Add to what was refused."""
        rows = [
            {"household": household, "reason": str(reason), "times": times, "last_at": at}
            for (household, reason), times in refused.items()
        ]
        if rows:
            statement = self._insert(REFUSED)
            more = {"times": REFUSED.c.times + statement.excluded.times, "last_at": statement.excluded.last_at}
            self._connection.execute(
                statement.on_conflict_do_update(index_elements=["household", "reason"], set_=more), rows
            )

    def _insert(self, table: Table) -> Any:  # noqa: ANN401 - the two dialects' classes have the same methods, no base
        return (postgresql if self._connection.dialect.name == "postgresql" else sqlite).insert(table)


class CollectedReadings:
    """The collector's store.

    Args:
        database: with the room ``COLLECTED``.
        area: the one area that is collected; None for all.
    """

    def __init__(self, database: Database, area: str | None = None) -> None:
        self._database = database
        self._area = area

    def claim(self, market: SigningDomain) -> None:
        """Take the tables for one market; readings of two markets would share their numbers.

        Raises:
            ConfigurationInvalid: they are another market's.
            DatabaseUnavailable: it takes nothing just now.
        """
        with self._database.writing() as connection:
            found = connection.execute(select(MARKET)).one_or_none()
            if found is None:
                connection.execute(MARKET.insert().values(id=1, chain_id=market.chain_id, contract=market.contract))
            elif (found.chain_id, found.contract) != (market.chain_id, market.contract):
                raise ConfigurationInvalid(
                    [
                        (
                            f"database {self._database.name} holds the readings of chain {found.chain_id}, contract"
                            f" {found.contract}, and not of chain {market.chain_id}, contract {market.contract}: name"
                            " another database"
                        )
                    ]
                )

    @contextmanager
    def transaction(self) -> Iterator[CollectedRows]:
        """Everything inside is stored together, or nothing is.

        Raises:
            DatabaseUnavailable: it takes nothing just now.
        """
        with self._database.writing() as connection:
            yield CollectedRows(connection)

    def standings(self) -> list[Standing]:
        """How every household of the area stands."""
        with self._database.reading() as connection:
            return self._standings(connection)

    def report(self) -> tuple[list[Account], dict[str, int]]:
        """Every household of the area, by address, and what was refused of households that are not known."""
        with self._database.reading() as connection:
            holes: dict[str, list[Hole]] = {}
            for row in connection.execute(select(HOLES).order_by(HOLES.c.epoch, HOLES.c.first)):
                holes.setdefault(row.household, []).append(Hole(row.epoch, row.first, row.last, Why(row.why)))
            refused: dict[str, dict[str, int]] = {}
            for row in connection.execute(select(REFUSED).order_by(REFUSED.c.reason)):
                refused.setdefault(row.household, {})[row.reason] = row.times
            accounts = [
                Account(
                    standing,
                    _missing(connection, standing),
                    [left for hole in holes.get(standing.household, []) for left in _left(connection, standing, hole)],
                    refused.get(standing.household, {}),
                )
                for standing in self._standings(connection)
            ]
            return accounts, refused.get("", {})

    def _standings(self, connection: Connection) -> list[Standing]:
        asked = select(STANDINGS).order_by(STANDINGS.c.household)
        if self._area is not None:
            asked = asked.where(STANDINGS.c.area == self._area)
        return [_standing(row) for row in connection.execute(asked)]


def _missing(connection: Connection, standing: Standing) -> list[tuple[int, int, int]]:
    """What is still to come, as far as the numbers show it."""
    found: list[tuple[int, int, int]] = []
    mark, highest = standing.holding.mark, standing.highest
    if highest <= mark:
        return found
    for epoch in range(mark[0], highest[0] + 1):
        first = mark[1] + 1 if epoch == mark[0] else 1
        held = _sequences(connection, standing.household, epoch, first, None)
        if held:
            found += [(epoch, *left) for left in ranges_left_out(first, held[-1], held)]
    return found


def _left(connection: Connection, standing: Standing, hole: Hole) -> list[Hole]:
    """A hole without what is stored of it all the same."""
    held = _sequences(connection, standing.household, hole.epoch, hole.first, hole.last)
    if hole.last is None:
        return [replace(hole, first=held[-1] + 1 if held else hole.first)]
    return [replace(hole, first=first, last=last) for first, last in ranges_left_out(hole.first, hole.last, held)]


def _sequences(connection: Connection, household: str, epoch: int, first: int, last: int | None) -> list[int]:
    column = READINGS.c.sequence
    asked = select(column).where(READINGS.c.household == household, READINGS.c.epoch == epoch, column >= first)
    if last is not None:
        asked = asked.where(column <= last)
    return list(connection.execute(asked.order_by(column)).scalars())


def _key(row: Row[Any]) -> Key:
    return row.household, row.epoch, row.sequence


def _reading_row(kept: Kept) -> dict[str, object]:
    reading = kept.heard.signed.reading
    return {
        "household": reading.household,
        "epoch": reading.epoch,
        "sequence": reading.sequence,
        "taken_at": reading.taken_at,
        "produced_wh": reading.produced_wh,
        "consumed_wh": reading.consumed_wh,
        "flags": int(reading.flags),
        "interval_end": kept.heard.interval_end,
        "period_s": kept.heard.period_s,
        "signature": kept.heard.signed.signature,
        "received_at": kept.received_at,
    }


def _reading(row: Row[Any]) -> Reading:
    return Reading(
        row.household, row.epoch, row.sequence, row.taken_at, row.produced_wh, row.consumed_wh, Flags(row.flags)
    )


def _standing_row(standing: Standing) -> dict[str, object]:
    holding = standing.holding
    return {
        "household": standing.household,
        "area": standing.area,
        "enrolled": standing.enrolled,
        "mark_epoch": holding.mark[0],
        "mark_sequence": holding.mark[1],
        "acknowledged_epoch": holding.acknowledged[0],
        "acknowledged_sequence": holding.acknowledged[1],
        "highest_epoch": standing.highest[0],
        "highest_sequence": standing.highest[1],
        "newest": standing.newest,
        "heard_at": standing.heard_at,
        "period_s": standing.period_s,
        "online": standing.online,
        "online_at": standing.online_at,
        "quiet": None if standing.quiet is None else str(standing.quiet),
        "quiet_at": standing.quiet_at,
    }


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        household=row.household,
        area=row.area,
        enrolled=row.enrolled,
        holding=Holding((row.mark_epoch, row.mark_sequence), (row.acknowledged_epoch, row.acknowledged_sequence)),
        highest=(row.highest_epoch, row.highest_sequence),
        newest=row.newest,
        heard_at=row.heard_at,
        period_s=row.period_s,
        online=row.online,
        online_at=row.online_at,
        quiet=None if row.quiet is None else Quiet(row.quiet),
        quiet_at=row.quiet_at,
    )
