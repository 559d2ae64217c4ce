"""The collector's command in a process of its own: a kill, TLS, the report, what is wrong on its line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.adapters.broker_place import Place, Tls
from agent.operator.__main__ import main
from simulators.broker import Broker, Security
from simulators.certificates import Authority
from tests.integration.collector_line import (
    CollectorOnTheLine,
    Publisher,
    held,
    message,
    opened,
    report,
)
from tests.integration.conftest import DatabasePlace
from tests.integration.telemetry_house import (
    AREA,
    CHAIN,
    HOUSEHOLD,
    PATIENCE_S,
    TOPICS,
    HouseOnTheLine,
    connect_without_binding,
    sealed,
)

pytestmark = [pytest.mark.integration, pytest.mark.untimed]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_without_binding(monkeypatch)


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    sending = Publisher(broker)
    yield sending
    sending.close()


MARKET_WORDS = ["--all-areas", "--chain-id", str(CHAIN.chain_id), "--contract", CHAIN.contract]

_KILLED = """
import os, sys
from agent.adapters.mqtt import Subscription
from agent.operator.__main__ import main
Subscription.confirm = lambda *_: os.kill(os.getpid(), 9)  # everything is committed, and nobody has been told
sys.exit(main(sys.argv[1:]))
"""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "agent.operator", "collect", *words]


def counted(place: DatabasePlace) -> int:
    with opened(place) as database:
        return len(held(database))


def wait_for(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_killed_between_commit_and_acknowledgement_it_stores_nothing_twice(
    broker: Broker, database_place: DatabasePlace, publisher: Publisher
) -> None:
    with CollectorOnTheLine(broker, database_place) as collector:
        collector.until(collector.listening, "the session that the broker keeps")
    publisher.send(*(message(sequence) for sequence in range(1, 6)))
    words = ["--broker", f"mqtt://127.0.0.1:{broker.port}", *MARKET_WORDS, *database_place.words]
    killed = subprocess.run([sys.executable, "-c", _KILLED, "collect", *words], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    # Its first batch: as much as the broker had brought by then.
    stored = counted(database_place)
    assert stored > 0
    (told,), _ = report(database_place)
    assert told.standing.holding.acknowledged == (1, stored)

    with CollectorOnTheLine(broker, database_place) as collector:
        collector.until(lambda: collector.stage.counts.received == 5, "the broker sends them again")
        assert {str(reason): times for reason, times in collector.stage.counts.refused.items()} == {"replayed": stored}
    assert counted(database_place) == 5


def test_the_command_with_tls_ends_cleanly_and_reports(tmp_path: Path, database_place: DatabasePlace) -> None:
    authority = Authority(tmp_path / "certificates")
    own = authority.client("collector")
    household = authority.client(HOUSEHOLD)
    with Broker(security=Security(authority), embedded=False) as broker:
        words = [
            *("--broker", f"mqtts://127.0.0.1:{broker.port}", "--broker-ca", str(authority.certificate)),
            *("--certificate", str(own.certificate), "--certificate-key", str(own.key)),
        ]
        running = subprocess.Popen(
            command(*words, *MARKET_WORDS, *database_place.words, "--json"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_for(lambda: "SUBSCRIBE from prosumer-collector" in broker.output(), "it subscribes")
            place = Place("127.0.0.1", broker.port, Tls(authority.certificate, household.certificate, household.key))
            with HouseOnTheLine(place, listen=TOPICS.acknowledgement) as house:
                house.journal.sealed = [sealed(1), sealed(2)]
                house.until(lambda: house.journal.mark == (1, 2), "acknowledged")
        finally:
            running.send_signal(signal.SIGTERM)
            out, log = running.communicate(timeout=30)
    assert running.returncode == 0, log
    told_at_the_end = json.loads(out)
    assert told_at_the_end.pop("received") >= 2, "readings, and the household's status once it is known"
    assert told_at_the_end == {"verified": 2, "stored": 2, "dropped": 0, "refused": {}}
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["collect.listening"]

    def told(*more: str) -> str:
        done = subprocess.run(
            command("--report", *database_place.words, *more), cwd=ROOT, check=True, capture_output=True, text=True
        )
        return done.stdout

    assert f"{HOUSEHOLD}  {AREA}  not checked  1/2" in told()
    assert "households: 1, silent: 0" in told()
    (one,) = json.loads(told("--json"))["households"]
    assert (one["household"], one["acknowledged"], one["refused"]) == (HOUSEHOLD, {"epoch": 1, "sequence": 2}, {})


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], tuple[object, str]]:
    """Exit code and words of a command that does not get as far as to collect: it runs in this process."""

    def carried_out(words: list[str]) -> tuple[object, str]:
        monkeypatch.setenv("HOME", str(tmp_path))
        try:
            code: object = main(["collect", *words])
        except SystemExit as misuse:
            code = misuse.code
        told = capsys.readouterr()
        assert told.out == ""
        return code, " ".join(told.err.split())

    return carried_out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--broker", "mqtt://127.0.0.1"], 2, "--area or --all-areas"),
        (["--broker", "mqtt://127.0.0.1", "--all-areas"], 2, "--chain-id and --contract"),
        (["--broker", "http://127.0.0.1", *MARKET_WORDS], 78, "mqtts://HOST:PORT would be right"),
        (["--broker", "mqtt://10.1.2.3", *MARKET_WORDS], 78, "use mqtts://, or add --broker-plain"),
        (["--broker", "mqtts://10.1.2.3", *MARKET_WORDS], 78, "could not tell this collector from another"),
        (["--broker", "mqtts://a@10.1.2.3", *MARKET_WORDS], 78, "use --broker-user and --broker-password-file"),
        (["--broker", "mqtt://127.0.0.1", *MARKET_WORDS[1:], "--area", "a/b"], 78, "--area 'a/b'"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_named(
    refused: Callable[[list[str]], tuple[object, str]], words: list[str], code: int, said: str
) -> None:
    ended, told = refused(words)
    assert ended == code
    assert said in told
