"""What the report on collected readings looks like, and how a collector's command line is read."""

from __future__ import annotations

import pytest

from agent.domain.errors import ConfigurationInvalid
from agent.domain.holding import Holding, Hole, Why
from agent.domain.silence import Quiet
from agent.domain.standing import Account, Standing
from agent.operator import collect
from agent.operator.arguments import parser

HOUSEHOLD = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def account() -> Account:
    standing = Standing(
        HOUSEHOLD,
        "north",
        enrolled=True,
        holding=Holding((1, 60), (1, 60)),
        highest=(1, 65),
        newest=1_800_000_000,
        heard_at=1_800_000_100,
        online=False,
        quiet=Quiet.OFFLINE,
        quiet_at=1_800_003_600,
    )
    never = [Hole(1, 7, 7, Why.DELIVERED), Hole(1, 20, None, Why.NEVER_WAS)]
    return Account(standing, [(1, 62, 64)], never, {"foreign": 2, "replayed": 3})


def test_the_report_says_everything_in_a_line() -> None:
    heads, line, _, closing, unknown = collect._text([account()], {"malformed": 1}).splitlines()
    assert heads.split()[:4] == ["household", "area", "enrolled", "last"]
    for part in (
        HOUSEHOLD,
        "north",
        "1/65",
        "2027-01-15 08:00:00Z",
        "1/62-64",
        "1/7 delivered, 1/20- never_was",
        "2027-01-15 09:00:00Z (offline)",
        "foreign 2, replayed 3",
    ):
        assert f"  {part}" in f"  {line}"
    assert closing == "households: 1, silent: 1"
    assert unknown == "refused of households that are not known: malformed 1"


def test_a_program_reads_the_same() -> None:
    told = collect._account(account())
    assert told["acknowledged"] == {"epoch": 1, "sequence": 60}
    assert told["missing"] == [{"epoch": 1, "first": 62, "last": 64}]
    assert told["neverCome"] == [
        {"epoch": 1, "first": 7, "last": 7, "why": "delivered"},
        {"epoch": 1, "first": 20, "last": None, "why": "never_was"},
    ]
    assert (told["silentSince"], told["silentWhy"], told["enrolled"]) == (1_800_003_600, "offline", True)


def test_many_gaps_are_cut() -> None:
    assert collect._several([str(number) for number in range(8)]) == "0, 1, 2, 3, 4, 5, and 2 more"


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("mqtts://broker.example", "broker.example", 8883, True),
        ("mqtts://broker.example:1/", "broker.example", 1, True),
        ("mqtt://[::1]", "::1", 1883, False),
    ],
)
def test_broker_urls(url: str, host: str, port: int, tls: bool) -> None:
    broker = collect._broker(parser().parse_args(["collect", "--broker", url]))
    assert (broker.host, broker.port, broker.tls) == (host, port, tls)


@pytest.mark.parametrize(
    "url",
    ["broker", "mqtt://", "mqtt://b:0", "mqtt://b:99999", "mqtt://b/topic", "mqtt://b?x=1", "mqtt://u@b", "http://b"],
)
def test_what_is_no_brokers_url(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="--broker"):
        collect._broker(parser().parse_args(["collect", "--broker", url]))


def test_certificates_go_with_tls_alone() -> None:
    with pytest.raises(ConfigurationInvalid, match="say mqtts://"):
        collect._broker(parser().parse_args(["collect", "--broker", "mqtt://b", "--certificate", "x.crt"]))


def test_a_collector_waits_at_least_a_period() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["collect", "--silent-after", "0"])
