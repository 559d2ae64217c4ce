"""A problem says where its value stands, and a command that finds it later says so too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.compose import commands
from agent.configuration import PREFIX, load, load_keystore, load_models_directory, told_where
from agent.domain.errors import ConfigurationInvalid, MeterMisconfigured
from agent.domain.lines import Line
from tests.unit.test_configuration import GOOD

OWN = "/etc/prosumer-agent/models"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(GOOD)
    return path


def problems(file: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid) as caught:
        load(file, environ or {})
    return caught.value.problems


def test_a_problem_of_the_file_names_the_file(file: Path) -> None:
    found = problems(file, GOOD.replace("rated_power_w", "rated") + '[log]\nlevel = "loud"\n')

    assert len(found) == 3
    assert [problem for problem in found if not problem.endswith(f" (in {file})")] == []


def test_a_problem_of_a_variable_names_the_variable(file: Path) -> None:
    level, nodes = f"{PREFIX}LOG__LEVEL", f"{PREFIX}chain__nodes"

    found = problems(
        file, GOOD.replace("id = 31337", "id = -1"), {level: "loud", nodes: '[{url = "https://a.example", area = "+"}]'}
    )

    ends = {problem.split(": ")[0]: problem.rpartition(" (in ")[2] for problem in found}
    assert ends["chain.id"] == f"{file})"
    assert ends["log.level"] == f"the variable {level})"
    assert ends["chain.nodes[0].area"] == f"the variable {nodes})"


def test_a_variable_that_names_no_key_is_its_own_place(file: Path) -> None:
    assert problems(file, GOOD, {f"{PREFIX}LOG__": "x"}) == [
        f"{PREFIX}LOG__: names no key; {PREFIX}SECTION__KEY is right"
    ]


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        load(tmp_path / "none.toml", {})

    assert str(caught.value).count("none.toml") == 1


def test_a_section_read_alone_names_the_file_too(file: Path) -> None:
    file.write_text("[keystore]\npath = 5\n[meters]\nmodels_directory = 5\n")

    for read in (load_keystore, load_models_directory):
        with pytest.raises(ConfigurationInvalid, match=rf"\(in {file}\)$"):
            read(file, {})


def test_what_is_found_while_it_is_used_is_placed_as_well(file: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught, told_where(file, {}):
        raise ConfigurationInvalid(["meters.production.profile: there is none", "the sum is wrong"])

    assert caught.value.problems == [
        f"meters.production.profile: there is none (in {file})",
        f"the sum is wrong (in {file})",
    ]


# What the commands make of it.


@pytest.mark.parametrize("command", ["check", "enrol"])
def test_an_unknown_meter_profile_is_bad_configuration(
    file: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD.replace("eastron_sdm120", "eastron_sdm12") + "[clock]\nrequire_synchronised = false\n")

    code = main(["--config", str(file), command])

    assert code == 78
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("prosumer-agent: meters.production.profile: there is no meter profile 'eastron_sdm12'")
    assert told.err.endswith(f"(in {file})\n")


def test_a_profile_with_mistakes_is_bad_configuration(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text("id = 5\n")
    file.write_text(
        GOOD.replace("[meters.production]", f'[meters]\nmodels_directory = "{tmp_path}"\n[meters.production]')
    )

    assert main(["--config", str(file), "check"]) == 78
    assert f"meters: {tmp_path}/" in capsys.readouterr().err


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders in which ``probe`` looked for profiles."""
    folders: list[Path] = []

    def scan(_line: Line, models_directory: Path, *, thorough: bool) -> Iterator[None]:
        assert not thorough
        folders.append(models_directory)
        raise MeterMisconfigured("enough seen")
        yield

    monkeypatch.setattr(commands, "scan_line", scan)
    return folders


def test_probe_reads_the_folder_of_profiles_from_the_configuration(file: Path, searched: list[Path]) -> None:
    # While the rest is not filled in yet: that is when an installer probes.
    file.write_text(
        '[household]\narea = "+"\n[meters]\nmodels_directory = "/srv/models"\n[meters.production]\nunit = 0\n'
    )
    probe = ["--config", str(file), "probe", "tcp://127.0.0.1:1"]

    assert main(probe) == 1
    assert main([*probe, "--models", "/mine"]) == 1
    assert main(["--config", "/nonexistent.toml", "probe", "tcp://127.0.0.1:1"]) == 1
    assert [str(folder) for folder in searched] == ["/srv/models", "/mine", OWN]


def test_probe_takes_the_folder_from_the_environment(
    file: Path, searched: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}METERS__MODELS_DIRECTORY", "/elsewhere")
    monkeypatch.setenv(f"{PREFIX}METERS__PRODUCTION__UNIT", "300")

    assert main(["--config", str(file), "probe", "tcp://127.0.0.1:1"]) == 1
    assert [str(folder) for folder in searched] == ["/elsewhere"]


def test_probe_says_what_is_wrong_with_the_configuration_it_finds(
    file: Path, searched: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[meters")

    assert main(["--config", str(file), "probe", "tcp://127.0.0.1:1"]) == 78
    assert searched == []
    assert f"{file}: is not TOML" in capsys.readouterr().err
