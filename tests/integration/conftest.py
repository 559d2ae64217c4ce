"""What several integration tests stand on: a real broker, and the office's database on both servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulators.broker import Broker
from simulators.database import PostgresServer, find_postgres


@dataclass(frozen=True)
class DatabasePlace:
    """An empty database for one test."""

    url: str
    password_file: Path | None

    @property
    def words(self) -> list[str]:
        """The same on prosumer-operator's command line."""
        more = [] if self.password_file is None else ["--database-password-file", str(self.password_file)]
        return ["--database", self.url, *more]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(embedded=False) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server here: sudo apt-get install postgresql")
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_place(request: pytest.FixtureRequest, tmp_path: Path) -> DatabasePlace:
    if request.param == "sqlite":
        return DatabasePlace(f"sqlite:///{tmp_path / 'database' / 'office.sqlite'}", None)
    server: PostgresServer = request.getfixturevalue("postgres")
    return DatabasePlace(server.fresh(), server.password_file)
