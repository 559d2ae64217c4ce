"""What the demonstration prints before it begins."""

from __future__ import annotations

import pytest

from simulators.demo import __main__ as demo


@pytest.mark.parametrize("text", ["", "-1", "0", "nan", "inf", "a minute"])
def test_a_time_that_is_none_is_misuse(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main([f"--for={text}"])

    assert ended.value.code == 2
    assert f"argument --for: {text!r} is no number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize(("found", "said"), [("/usr/bin/mosquitto_sub", False), (None, True)])
def test_a_printed_command_says_when_its_program_is_missing(
    monkeypatch: pytest.MonkeyPatch, found: str | None, said: bool
) -> None:
    monkeypatch.setattr(demo.shutil, "which", lambda _: found)

    assert ("apt-get install mosquitto-clients" in demo.missing("mosquitto_sub", "mosquitto-clients")) is said
