"""Where values come from: the environment that was handed in, over the file, and nothing else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from agent.configuration import PREFIX, Configuration, load, load_keystore
from agent.domain.errors import ConfigurationInvalid

SHIPPED = Path(__file__).parents[2] / "config" / "prosumer-agent.toml"


def problems(environ: dict[str, str], path: Path = SHIPPED) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(path, environ)
    return caught.value.problems


def keystore(environ: dict[str, str], path: Path) -> Path:
    return load_keystore(path, environ).path


def test_the_configuration_is_a_settings_model() -> None:
    assert issubclass(Configuration, BaseSettings)


def test_the_process_own_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{PREFIX}KEYSTORE__PATH", "/elsewhere")

    assert keystore({}, tmp_path / "none.toml") == Path("/var/lib/prosumer-agent/keystore.json")
    assert keystore({f"{PREFIX}KEYSTORE__PATH": "/here"}, tmp_path / "none.toml") == Path("/here")


def test_what_is_wrong_in_both_places_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[fees]\nbump_after_s = 1\n[log]\nlevel = "loud"\n')

    told = problems(
        {f"{PREFIX}CLOCK__STEP_TOLERANCE_S": "0", f"{PREFIX}LOG": "x", f"{PREFIX}LOGS": "x", f"{PREFIX}__A": ""}, file
    )

    assert [problem.split(": ")[0] for problem in told] == [
        "household", "meters", "chain", "fees.bump_after_s", "clock.step_tolerance_s", "log", "logs", f"{PREFIX}__A",
    ]  # fmt: skip


def test_a_variable_overrides_one_key_and_leaves_its_neighbours(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[keystore]\npath = "/a"\npassphrase_file = "/b"\n')

    settings = load_keystore(file, {f"{PREFIX}KEYSTORE__PATH": "/c"})

    assert (settings.path, settings.passphrase_file) == (Path("/c"), Path("/b"))


def test_a_key_can_be_made_while_the_rest_is_still_wrong(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[chain]\nid = 'x'\n[keystore]\npath = '/a'\n")

    assert keystore({f"{PREFIX}LOGS": "x"}, file) == Path("/a")


def test_a_list_has_no_keys_and_its_value_is_not_repeated() -> None:
    told = problems({f"{PREFIX}CHAIN__NODES__0__URL": "https://node.example/c4nary"})

    assert f"{PREFIX}CHAIN__NODES__0__URL: names no key; {PREFIX}SECTION__KEY is right" in told
    assert "c4nary" not in "".join(told)


@pytest.mark.parametrize("value", ["[" * 5_000, "[" + "9" * 5_000, "[1", "[{}]"])
def test_a_list_that_is_none_is_a_wrong_value(value: str) -> None:
    told = problems({f"{PREFIX}CHAIN__NODES": value})

    assert [problem for problem in told if problem.startswith("chain.nodes")] != []


def test_a_number_too_long_to_read_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("a = " + "9" * 5_000)

    assert len(problems({}, file)) == 1


def test_a_file_that_can_be_read_once_is_read_once(tmp_path: Path) -> None:
    # `--config <(...)` hands over a pipe, which a look ahead would empty.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("[keystore]\npath = '/a'\n",), daemon=True)
    writer.start()

    assert keystore({}, pipe) == Path("/a")
    writer.join(timeout=30)
