"""Tables and their versions: each room of the database has its own, so that rooms grow by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from agent.domain.errors import DatabaseInvalid

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of this room is on it."""

VERSIONS = Table(
    "schema_version",
    METADATA,
    Column("room", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)

# SQLite's mark of whose file it is: "PROS".
_APPLICATION_ID = 0x50524F53
# Two commands that begin together on PostgreSQL take turns; the number means nothing.
_TURN = 0x50524F53

Step = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Room:
    """Tables that belong together.

    Attributes:
        name: of the room, up to 64 characters; kept in the database.
        steps: number ``n`` brings its tables from version ``n`` to ``n + 1``.
    """

    name: str
    steps: tuple[Step, ...]


def creating(*tables: Table) -> Step:
    """A step that creates tables with their indexes, the referred ones first."""

    def step(connection: Connection) -> None:
        for table in tables:
            connection.execute(CreateTable(table))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index))

    return step


def bring_up(connection: Connection, rooms: Sequence[Room], name: str) -> None:
    """Carry out the steps that a database lacks; one that has them all is only read.

    Args:
        connection: in a transaction that writes.
        rooms: what shall be there.
        name: of the database, for messages.

    Raises:
        DatabaseInvalid: it is another program's, or a newer release wrote it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
    else:
        _claim(connection, name)
    if not inspect(connection).has_table(VERSIONS.name):
        connection.execute(CreateTable(VERSIONS))
    for room in rooms:
        found = connection.execute(VERSIONS.select().where(VERSIONS.c.room == room.name)).one_or_none()
        version = 0 if found is None else int(found.version)
        if version > len(room.steps):
            raise DatabaseInvalid(
                f"database {name}: its tables of '{room.name}' have version {version}, and this release knows"
                f" {len(room.steps)}: use the newer release that wrote them"
            )
        if version == len(room.steps):
            continue
        for step in room.steps[version:]:
            step(connection)
        kept = {"room": room.name, "version": len(room.steps)}
        if found is None:
            connection.execute(VERSIONS.insert().values(kept))
        else:
            connection.execute(VERSIONS.update().where(VERSIONS.c.room == room.name).values(kept))


def _claim(connection: Connection, name: str) -> None:
    owner = connection.execute(text("PRAGMA application_id")).scalar_one()
    if owner == _APPLICATION_ID:
        return
    if owner or connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one():
        raise DatabaseInvalid(f"database {name} is another program's; name a file of its own")
    connection.execute(text(f"PRAGMA application_id = {_APPLICATION_ID}"))
