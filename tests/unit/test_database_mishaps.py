"""Every error of the database's library becomes one of ours, and none of them tells what a row holds."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import exc

from agent.adapters.office_database.mishaps import errors_of_ours
from agent.domain.errors import AgentError, DatabaseInvalid, DatabaseUnavailable

PASSING = {"BUSY", "LOCKED", "PROTOCOL", "FULL", "READONLY", "CANTOPEN", "PERM", "NOMEM", "INTERRUPT", "IOERR"}
INVALID = {"CORRUPT", "NOTADB", "FORMAT", "ERROR", "CONSTRAINT", "MISMATCH", "SCHEMA", "TOOBIG", "INTERNAL"}
CODES = sorted(
    name
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_")
    and isinstance(value, int)
    and name.split("_")[1] in PASSING | INVALID
    and not name.startswith(("SQLITE_LIMIT", "SQLITE_DBCONFIG"))
)


class FromServer(Exception):
    def __init__(self, text: str, sqlstate: str | None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def becomes(error: Exception) -> AgentError:
    with pytest.raises(AgentError) as ours, errors_of_ours("the one"):
        raise error
    assert "canary" not in f"{ours.value} {ours.value.__cause__!r}"
    assert ours.value.__suppress_context__
    assert "the one" in str(ours.value)
    return ours.value


def wrapped(kind: type[exc.DBAPIError], cause: Exception) -> exc.DBAPIError:
    return kind("INSERT INTO person VALUES (?)", ("canary",), cause)


@pytest.mark.parametrize("code", CODES)
def test_each_code_of_sqlite_has_its_place(code: str) -> None:
    cause = sqlite3.OperationalError("UNIQUE constraint failed: canary")
    cause.sqlite_errorname = code  # type: ignore[attr-defined,misc]  # the typed stub knows it on the class alone
    ours = becomes(wrapped(exc.OperationalError, cause))
    assert isinstance(ours, DatabaseUnavailable if code.split("_")[1] in PASSING else DatabaseInvalid)
    assert code in str(ours)


@pytest.mark.parametrize(
    ("kind", "cause", "wanted", "says"),
    [
        (exc.OperationalError, FromServer("connection refused\nmore: canary", None), DatabaseUnavailable, "refused"),
        (exc.OperationalError, FromServer("", None), DatabaseUnavailable, "FromServer"),
        (exc.OperationalError, FromServer("DETAIL: canary", "40001"), DatabaseUnavailable, "SQLSTATE 40001"),
        (exc.InterfaceError, FromServer("the connection is closed", None), DatabaseUnavailable, "closed"),
        (exc.IntegrityError, FromServer("Key (id)=(canary) exists", "23505"), DatabaseInvalid, "SQLSTATE 23505"),
        (exc.DataError, FromServer('invalid input "canary"', "22P02"), DatabaseInvalid, "SQLSTATE 22P02"),
        (exc.ProgrammingError, FromServer("permission denied", "42501"), DatabaseInvalid, "SQLSTATE 42501"),
    ],
)
def test_each_kind_of_a_server_has_its_place(
    kind: type[exc.DBAPIError], cause: Exception, wanted: type[AgentError], says: str
) -> None:
    ours = becomes(wrapped(kind, cause))
    assert type(ours) is wanted
    assert says in str(ours)


def test_what_the_library_itself_refuses_has_its_place() -> None:
    assert isinstance(becomes(exc.TimeoutError("pool")), DatabaseUnavailable)
    assert isinstance(becomes(exc.ArgumentError("canary")), DatabaseInvalid)
    assert isinstance(becomes(exc.StatementError("canary", "canary", {}, ValueError("canary"))), DatabaseInvalid)


def test_our_own_errors_pass_unchanged() -> None:
    ours = DatabaseInvalid("as it was")
    with pytest.raises(DatabaseInvalid) as passed, errors_of_ours("the one"):
        raise ours
    assert passed.value is ours
