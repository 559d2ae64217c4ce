"""What an operator may type, and what is said at once to be misuse."""

from __future__ import annotations

import pytest

from agent.operator.__main__ import main
from agent.operator.arguments import parser

HOUSE = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NODE = ("--node", "http://127.0.0.1:1")
KEY = (*NODE, "--keystore", "k")
METER = ("replace-meter", HOUSE, *KEY, "--meter", "production", "--profile", "m")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("parameters", *KEY, "--service-cost", "1e30"),
            "--service-cost: 1e30 is too much; 1208925819614629174706175 wei",
        ),
        (
            ("parameters", *KEY, "--reporting-period", "86401"),
            "--reporting-period: 86401 is too much; 86400 s is the most",
        ),
        (("parameters", *KEY, "--feed-in", "3", "--retail", "2"), "3 wei is above the retail tariff of 2 wei"),
        (("deploy", *KEY, "--feed-in", "3"), "3 wei is above the retail tariff of 0 wei"),
        (("deploy", *KEY, "--token-name", " "), "--token-name: ' ' is no name"),
        (("deploy", *KEY, "--reporting-period", "99999999999"), "--reporting-period: 99999999999 is too much"),
        (("fund", HOUSE, *KEY, "--amount", "1e80"), "--amount: 1e80 is too much"),
        (("approve", "file", *KEY, "--rated-power", "16777216"), "16777216 is too much; 16777215 W is the most"),
        (("requests", "show", "9223372036854775808"), "9223372036854775808 is too much"),
        ((*METER, "--serial", "", "--opening", "1"), "--serial: '' is no name"),
        ((*METER, "--serial", "1", "--opening", "1099511627776"), "--opening: 1099511627776 is too much"),
        ((*METER, "--serial", "1", "--opening", "1", "--closing", "1099511627776"), "--closing: 1099511627776 is too"),
        (("trades", *NODE, "--since", "253402300800"), "--since: 253402300800 s is after the year 9999"),
    ],
)
def test_nonsense_is_misuse_and_asks_nobody(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "usage: prosumer-operator" in told
    assert says in told


def test_what_just_fits_is_taken() -> None:
    asked = parser().parse_args([*METER, "--serial", "1", "--opening", "1099511627775"])
    assert asked.opening == (1 << 40) - 1
    asked = parser().parse_args(
        ["parameters", *NODE, "--retail", "1208925819614629174706175", "--reporting-period", "86400"]
    )
    assert (asked.retail, asked.reporting_period) == ((1 << 80) - 1, 86_400)
