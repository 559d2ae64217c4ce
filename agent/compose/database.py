"""The office's database for a command; a module of its own, so that only the commands that need it load SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.adapters.office_database import Database, Room
from agent.adapters.office_database.address import sqlite_url
from agent.adapters.office_database.registration import ROOM, RegistrationRows

FILE_NAME = "office.sqlite"


def open_database(
    url: str | None, password_file: Path | None, state: Path, rooms: Sequence[Room], *, begins: bool
) -> Database:
    """The office's database, brought up to this release's tables.

    Args:
        url: where it is; None for a SQLite file in the state directory.
        password_file: PostgreSQL's password, or None.
        state: the operator's state directory.
        rooms: the tables that the command needs.
        begins: whether a file that is not there yet is made.

    Raises:
        ConfigurationInvalid: the URL is wrong or holds a password, psycopg is not installed, or there is no such file.
        DatabaseUnavailable: it cannot be reached or is locked.
        DatabaseInvalid: it is another program's, damaged, or a newer release's.
    """
    return Database(url or sqlite_url(state / FILE_NAME), rooms, password_file=password_file, begins=begins)


@contextmanager
def open_register(
    url: str | None, password_file: Path | None, state: Path, *, begins: bool
) -> Iterator[RegistrationRows]:
    """What the registration office keeps; arguments and errors as ``open_database`` has them."""
    with open_database(url, password_file, state, [ROOM], begins=begins) as database:
        yield RegistrationRows(database)
