"""The office's database: the same promises on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, MetaData, Table, Text, insert, select, text

from agent.adapters.office_database import Database, Room
from agent.adapters.office_database.database import insert_once
from agent.adapters.office_database.schema import creating
from agent.domain.errors import ConfigurationInvalid, DatabaseInvalid, DatabaseUnavailable
from simulators.database import PostgresServer
from tests.integration.conftest import DatabasePlace

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

OWN = MetaData()
HOUSES = Table("house", OWN, Column("id", BigInteger, primary_key=True, autoincrement=False), Column("name", Text))
ROWS = Table(
    "house_row",
    OWN,
    Column("house", BigInteger, ForeignKey("house.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
)
FIRST = Room("houses", (creating(HOUSES),))


def add_column(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE house ADD COLUMN area TEXT"))


GROWN = Room("houses", (*FIRST.steps, add_column, creating(ROWS)))


@pytest.fixture
def database(database_place: DatabasePlace) -> Iterator[Database]:
    with Database(database_place.url, [GROWN], password_file=database_place.password_file) as opened:
        yield opened


def test_rooms_grow_step_by_step_and_keep_their_rows(database_place: DatabasePlace) -> None:
    place = database_place
    with Database(place.url, [FIRST], password_file=place.password_file) as old, old.writing() as connection:
        connection.execute(insert(HOUSES), {"id": 1, "name": "a"})
    for _ in range(2):
        with Database(place.url, [GROWN], password_file=place.password_file) as new, new.reading() as connection:
            assert connection.execute(text("SELECT id, name, area FROM house")).all() == [(1, "a", None)]
            assert connection.execute(select(ROWS)).all() == []
    with pytest.raises(DatabaseInvalid, match="tables of 'houses' have version 3, and this release knows 1"):
        Database(place.url, [FIRST], password_file=place.password_file)


def test_a_step_that_fails_leaves_nothing(database_place: DatabasePlace) -> None:
    def fail(_connection: Connection) -> None:
        raise RuntimeError("in the middle")

    place = database_place
    with pytest.raises(RuntimeError):
        Database(place.url, [Room("houses", (creating(HOUSES), fail))], password_file=place.password_file)
    with Database(place.url, [FIRST], password_file=place.password_file) as again, again.reading() as connection:
        assert connection.execute(select(HOUSES)).all() == []


def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.writing() as connection:
            connection.execute(insert(HOUSES), {"id": 1, "name": "a"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with database.reading() as connection:
        assert connection.execute(select(HOUSES.c.id)).all() == []


def test_a_row_that_is_there_is_inserted_once(database: Database) -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    with database.writing() as connection:
        assert insert_once(connection, HOUSES, rows[:1]) == 1
        assert insert_once(connection, HOUSES, rows) == 1
        assert insert_once(connection, HOUSES, []) == 0
    with database.reading() as connection:
        assert connection.execute(select(HOUSES.c.id, HOUSES.c.name).order_by(HOUSES.c.id)).all() == [
            (1, "a"),
            (2, "b"),
        ]


def test_a_row_without_its_parent_is_refused_and_its_values_are_not_told(database: Database) -> None:
    with pytest.raises(DatabaseInvalid) as refused, database.writing() as connection:
        connection.execute(insert(ROWS), {"house": 60_481_992, "number": 1})
    told = f"{refused.value} {refused.value.__cause__!r}"
    assert "60481992" not in told


def test_commands_that_begin_together_make_the_tables_once(database_place: DatabasePlace) -> None:
    place, failures, begin = database_place, [], threading.Barrier(4)

    def open_it() -> None:
        begin.wait()
        try:
            Database(place.url, [GROWN], password_file=place.password_file).close()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a thread is shown below
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_transaction_that_reads_sees_one_state(database: Database) -> None:
    with database.reading() as reader:
        assert reader.execute(select(HOUSES.c.id)).all() == []
        with database.writing() as writer:
            writer.execute(insert(HOUSES), {"id": 1, "name": "a"})
        assert reader.execute(select(HOUSES.c.id)).all() == []
    with database.reading() as reader:
        assert reader.execute(select(HOUSES.c.id)).all() == [(1,)]


def test_what_was_forgotten_is_in_no_file(
    database_place: DatabasePlace, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = "Nowhere-To-Be-Found"
    place = database_place
    with Database(place.url, [GROWN], password_file=place.password_file) as database:
        with database.writing() as connection:
            connection.execute(insert(HOUSES), [{"id": number, "name": f"{name}-{number}"} for number in range(100)])
            # A row that stays keeps the table from being emptied as a whole, which is easier.
            connection.execute(insert(HOUSES), {"id": 100, "name": "stays"})
        folder = tmp_path / "database"
        if place.password_file is not None:
            server: PostgresServer = request.getfixturevalue("postgres")
            folder = server.directory / "data" / "base"
            server.run_sql("CHECKPOINT")
        assert holding(folder, name.encode()) != []
        with database.writing() as connection:
            connection.execute(HOUSES.delete().where(HOUSES.c.id < 100))
        database.forget(HOUSES)
        if place.password_file is not None:
            server.run_sql("CHECKPOINT")
        assert holding(folder, name.encode()) == []
        assert holding(folder, b"stays") != []


def holding(folder: Path, what: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and what in path.read_bytes()]


def test_a_locked_sqlite_file_is_a_passing_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.adapters.office_database.database._BUSY_MS", 50)
    url = f"sqlite:///{tmp_path / 'office.sqlite'}"
    with (
        Database(url, [FIRST]) as first,
        Database(url, [FIRST]) as second,
        first.writing(),
        pytest.raises(DatabaseUnavailable, match="SQLITE_BUSY"),
        second.writing(),
    ):
        pass


def test_a_sqlite_file_is_its_owners_alone_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "office.sqlite"
    with Database(f"sqlite:///{path}", [FIRST]) as database, database.reading() as connection:
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)):
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == wanted
    assert set(files.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_another_programs_sqlite_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    import sqlite3  # noqa: PLC0415 - another program's file is made without our room

    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE theirs (a)")
    theirs.close()
    with pytest.raises(DatabaseInvalid, match="another program's"):
        Database(f"sqlite:///{path}", [FIRST])
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseInvalid, match="SQLITE_NOTADB"):
        Database(f"sqlite:///{path}", [FIRST])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationInvalid, match="database file"):
        Database(f"sqlite:///{tmp_path / 'file' / 'office.sqlite'}", [FIRST])


def test_a_server_that_goes_away_comes_back(postgres: PostgresServer) -> None:
    with Database(postgres.fresh(), [FIRST], password_file=postgres.password_file) as database:
        postgres.stop()
        try:
            with pytest.raises(DatabaseUnavailable, match=r"refused|closed|terminat"), database.reading():
                pass
        finally:
            postgres.start()
        with database.reading() as connection:
            assert connection.execute(select(HOUSES)).all() == []


def test_a_wrong_password_is_said_without_the_password(postgres: PostgresServer, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("canary-in-the-file\n")
    wrong.chmod(0o600)
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as refused:
        Database(postgres.url, [FIRST], password_file=wrong)
    assert "canary" not in str(refused.value)


def test_a_role_that_may_not_make_tables_is_told_so(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    postgres.run_sql(f"DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD '{postgres.password}'")
    with pytest.raises(DatabaseInvalid, match="42501"):
        Database(url.replace("office@", "guest@"), [FIRST], password_file=postgres.password_file)
