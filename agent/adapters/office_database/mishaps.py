"""What goes wrong with the database, in the agent's own errors.

The library's texts are not passed on as they are: a statement's values and a constraint's detail hold personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from agent.domain.errors import DatabaseInvalid, DatabaseUnavailable

# Primary result codes of SQLite that pass by themselves or by a person's hand while the program waits.
_PASSING = frozenset(
    f"SQLITE_{code}"
    for code in ("BUSY", "LOCKED", "PROTOCOL", "FULL", "READONLY", "CANTOPEN", "PERM", "NOMEM", "INTERRUPT", "IOERR")
)


@contextmanager
def errors_of_ours(name: str) -> Iterator[None]:
    """Map every error of the library that leaves the block.

    Args:
        name: the database, for the message; never with a password.

    Raises:
        DatabaseUnavailable: it is locked, full, away, or refuses us now.
        DatabaseInvalid: what is there is no database of ours, or a statement does not fit it.
    """
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnavailable(f"database {name}: every connection is in use; try again") from None
    except DBAPIError as error:
        # Without the cause: its text has the statement's values.
        raise _ours(name, error) from None
    except SQLAlchemyError as error:
        raise DatabaseInvalid(f"database {name}: {type(error).__name__} in what it was asked") from None


def _ours(name: str, error: DBAPIError) -> DatabaseUnavailable | DatabaseInvalid:
    cause = error.orig
    told = getattr(cause, "sqlite_errorname", None)
    if isinstance(told, str):
        if "_".join(told.split("_")[:2]) in _PASSING:
            return DatabaseUnavailable(f"database {name} takes nothing now ({told}): is it locked, full or read-only?")
        return DatabaseInvalid(f"database {name} is damaged, or is no database of this program ({told})")
    state = getattr(cause, "sqlstate", None)
    if isinstance(error, OperationalError | InterfaceError):
        # A refused connection tells host, user and why; none of it comes from a row.
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        return DatabaseUnavailable(f"database {name}: {first}" if state is None else _coded(name, "", state))
    return DatabaseInvalid(_coded(name, f"{type(cause).__name__}: ", state))


def _coded(name: str, kind: str, state: object) -> str:
    return f"database {name}: {kind}the server refuses with SQLSTATE {state}"
