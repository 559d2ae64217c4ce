"""The standing rule's section: amounts of money, and limits that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.configuration import RuleSettings, load
from agent.domain.errors import ConfigurationInvalid

HASH = "0x" + "ab" * 32
GOOD = f"""
[household]
account = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
area = "tehran-north"
rated_power_w = 15000
[meters.production]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:5020"
[meters.consumption]
profile = "eastron_sdm630"
line = "tcp://127.0.0.1:5021"
[chain]
id = 31337
unproven = true
genesis = "{HASH}"
contract = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
code_hash = "{HASH}"
[[chain.nodes]]
url = "https://node-1.example:8545"
area = "tehran-north"
[rule]
"""
SELLS = 'enabled = true\nsell = true\nsell_at_least_wei_per_kwh = "1_500e18"\n'
BUYS = 'enabled = true\nbuy = true\nbuy_at_most_wei_per_kwh = 9\nbuy_day_most_wei = "2.5e3"\nreserve_wei = 0\n'


def rule(directory: Path, text: str, environ: dict[str, str] | None = None) -> RuleSettings:
    path = directory / "agent.toml"
    path.write_text(GOOD + text)
    return load(path, environ or {}).rule


def problems(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        rule(directory, text)
    return caught.value.problems


def test_the_rule_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert rule(tmp_path, "") == RuleSettings()
    assert (RuleSettings().enabled, RuleSettings().sell, RuleSettings().buy) == (False, False, False)


@pytest.mark.parametrize(
    ("written", "wei"),
    [
        ("1500", 1_500),
        ('"1500"', 1_500),
        ('"1_500e18"', 1_500 * 10**18),
        ('"0.05e18"', 5 * 10**16),
        ("1208925819614629174706175", 2**80 - 1),
        ('"0"', 0),
    ],
)
def test_money_is_a_number_or_a_text(tmp_path: Path, written: str, wei: int) -> None:
    assert rule(tmp_path, f"sell_at_least_wei_per_kwh = {written}").sell_at_least_wei_per_kwh == wei


@pytest.mark.parametrize("written", ['"1.5"', '"-1"', '"1e99999"', '"Toman"', '""', '"0x10"', "true", "1.5", "-1"])
def test_what_is_no_amount_is_named_by_its_key(tmp_path: Path, written: str) -> None:
    found = problems(tmp_path, f"buy_at_most_wei_per_kwh = {written}")

    assert [problem.split(":")[0] for problem in found] == ["rule.buy_at_most_wei_per_kwh"]


def test_a_price_beyond_the_contracts_width_is_refused(tmp_path: Path) -> None:
    assert "rule.sell_at_least_wei_per_kwh" in problems(tmp_path, f'sell_at_least_wei_per_kwh = "{2**80}"')[0]


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = rule(tmp_path, SELLS, {"PROSUMER_AGENT__RULE__SELL_AT_LEAST_WEI_PER_KWH": "7e18"})

    assert settings.sell_at_least_wei_per_kwh == 7 * 10**18


def test_a_seller_and_a_buyer_within_limits_are_good(tmp_path: Path) -> None:
    settings = rule(tmp_path, SELLS + BUYS.replace("enabled = true\n", ""))

    assert (settings.sell_at_least_wei_per_kwh, settings.buy_at_most_wei_per_kwh) == (1_500 * 10**18, 9)
    assert (settings.buy_day_most_wei, settings.reserve_wei) == (2_500, 0)


def test_everything_that_is_missing_or_contradicts_itself_is_said_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, "enabled = true\nsell = true\nbuy = true\norder_least_wh = 9\norder_most_wh = 8\n")

    assert [problem.split(":")[0] for problem in found] == [
        "rule.sell_at_least_wei_per_kwh",
        "rule.buy_at_most_wei_per_kwh",
        "rule.order_most_wh",
        "rule.buy_day_most_wei",
        "rule.reserve_wei",
    ]


def test_days_that_hold_no_order_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "offer_day_most_wh = 99\nbuy_day_most_wh = 99\n")

    assert [problem.split(":")[0] for problem in found] == ["rule.offer_day_most_wh", "rule.buy_day_most_wh"]


def test_what_is_bought_for_oneself_may_not_be_offered_again(tmp_path: Path) -> None:
    text = SELLS + BUYS.replace("enabled = true\n", "") + "self_first = false\n"

    assert [problem.split(":")[0] for problem in problems(tmp_path, text)] == ["rule.buy"]


def test_a_rule_with_nothing_to_do_is_refused(tmp_path: Path) -> None:
    assert "nothing to do" in problems(tmp_path, "enabled = true\nself_first = false\n")[0]


def test_redeeming_alone_is_enough(tmp_path: Path) -> None:
    assert rule(tmp_path, "enabled = true\n").enabled


@pytest.mark.parametrize("lifetime", [299, 30 * 86_400 + 1])
def test_an_offers_life_has_bounds(tmp_path: Path, lifetime: int) -> None:
    assert "rule.order_lifetime_s" in problems(tmp_path, f"order_lifetime_s = {lifetime}")[0]
