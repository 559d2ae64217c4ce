"""An open database of the office: transactions that read, transactions that write, and nothing between."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from agent.adapters.office_database.address import engine_url, leaves_this_machine
from agent.adapters.office_database.mishaps import errors_of_ours
from agent.adapters.office_database.schema import Room, bring_up
from agent.domain.errors import ConfigurationInvalid, DatabaseUnavailable

# Another command's transaction takes milliseconds; a person waits no longer than this for a locked database.
_BUSY_MS = 5_000
_CONNECT_S = 10
_WRITES = "writes"

Row = Mapping[str, object]


class Database:
    """The office's database, brought up to this release's tables.

    Safe to share between threads: each transaction takes a connection of its own.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER@HOST:PORT/NAME``, without a password.
        rooms: the tables that shall be there.
        password_file: PostgreSQL's password, one line, mode 0600; None where libpq finds it or none is needed.
        begins: whether a file that is not there yet is made; else a mistyped place would look like an empty office.

    Raises:
        ConfigurationInvalid: the URL is wrong or holds a password, psycopg is not installed, or there is no such file.
        DatabaseUnavailable: it cannot be reached or is locked.
        DatabaseInvalid: it is another program's, damaged, or a newer release's.
    """

    def __init__(
        self, url: str, rooms: Sequence[Room], *, password_file: Path | None = None, begins: bool = True
    ) -> None:
        checked = engine_url(url, password_file)
        # For messages: a sqlite file's path, or user, host and database.
        self.name = str(
            URL.create(checked.get_backend_name(), checked.username, None, checked.host, checked.port, checked.database)
        )
        self._engine = _sqlite(checked, begins=begins) if checked.drivername == "sqlite" else _postgresql(checked)
        try:
            with self.writing() as connection:
                bring_up(connection, rooms, self.name)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees one state of the database.

        Raises:
            DatabaseUnavailable: the database is away or locked.
            DatabaseInvalid: a statement does not fit it.
        """
        with errors_of_ours(self.name), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: whole when the block ends, and nothing of it when the block raises.

        Raises:
            DatabaseUnavailable: the database is away, locked or full; nothing was written.
            DatabaseInvalid: a statement does not fit it.
        """
        with errors_of_ours(self.name), self._engine.connect() as plain:
            # Under REPEATABLE READ one who waited for a lock would go on with what he saw before he got it.
            level = {} if plain.dialect.name == "sqlite" else {"isolation_level": "READ COMMITTED"}
            connection = plain.execution_options(**{_WRITES: True}, **level)
            with connection.begin():
                yield connection

    def forget(self, *tables: Table) -> None:
        """Have what was deleted from these tables gone from the database's own files too, as far as they are ours.

        A PostgreSQL server's write-ahead log, archives and backups are its administrator's.

        Raises:
            DatabaseUnavailable: another holds the database; nothing that was deleted comes back.
        """
        with errors_of_ours(self.name), self._engine.connect() as plain:
            if plain.dialect.name == "sqlite":
                # Deleted rows are overwritten (secure_delete), but older pages wait in the log.
                busy = plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
                if busy:
                    raise DatabaseUnavailable(f"database {self.name} is in use, so its log was not emptied; try again")
                return
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            for table in tables:
                # FULL writes the table anew: a plain VACUUM leaves the old bytes in their pages.
                connection.execute(text(f"VACUUM (FULL) {connection.dialect.identifier_preparer.format_table(table)}"))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def insert_once(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert the rows whose keys are not there yet; a row that is there stays as it is.

    Args:
        connection: in a transaction that writes.
        table: with a primary key or a unique constraint.
        rows: by column name, each with the same columns.

    Returns:
        How many were inserted.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    # One by one: a batch does not tell on every driver how many of it were new.
    return sum(connection.execute(statement, row).rowcount for row in rows)


def _sqlite(url: URL, *, begins: bool) -> Engine:
    path = Path(str(url.database))
    if not begins and not path.exists():
        right = "name the right folder with --state-dir, or the right file with --database"
        raise ConfigurationInvalid(
            [f"there is no database {path}: {right}; 'prosumer-operator requests add' begins one"]
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Personal data: nobody else reads it, whatever the process's umask is. The log takes the file's mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationInvalid([f"database file {path}: {error.strerror}; name another with --database"]) from None
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_MS / 1000})

    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3 has another importer
        # The library's own BEGIN comes too late: not before a CREATE TABLE, and never as IMMEDIATE.
        connection.isolation_level = None
        with _alone(path.parent):
            connection.execute("PRAGMA journal_mode = WAL").close()
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time: SQLite waits for nobody when it turns a new file's log on, and says at once that it is busy.

    The folder is locked and not the file: whoever closes a file of SQLite's lets go of all its locks in the process.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later would find another's write between, and could not go on.
    immediate = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            connect_args={
                "connect_timeout": _CONNECT_S,
                "application_name": "prosumer-operator",
                "options": f"-c lock_timeout={_BUSY_MS}",
            },
        )
    except ModuleNotFoundError:
        raise ConfigurationInvalid(
            ["a PostgreSQL database needs psycopg: pip install 'prosumer-agent[postgres]'"]
        ) from None
    event.listen(engine, "connect", _postgresql_connected)
    return engine


def _postgresql_connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's, which is optional
    """Refuse a connection that a service file or the environment sent over a network in plain text."""
    info = connection.info
    if leaves_this_machine(info.hostaddr or info.host) and not connection.pgconn.ssl_in_use:
        host = info.host
        connection.close()
        raise ConfigurationInvalid(
            [f"the connection to database host {host} is not encrypted: say sslmode=verify-full"]
        )
