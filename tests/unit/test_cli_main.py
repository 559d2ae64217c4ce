from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from agent import passphrase
from agent.cli import main as main_room
from agent.cli import run
from agent.cli.arguments import parser
from agent.cli.asking import confirmed
from agent.configuration import LogSettings
from agent.domain.errors import BadRequest, ConfigurationInvalid, KeystoreInvalid, NodeUnavailable
from agent.domain.lines import TcpLine
from agent.operator import requests
from agent.operator.__main__ import main as operator_main
from agent.operator.arguments import parser as operator_parser


def ends(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, code: int = 0) -> int:
    def command(_: argparse.Namespace) -> int:
        if error is not None:
            raise error
        return code

    monkeypatch.setattr(main_room, "_room", lambda _: command)
    return main_room.main(["status"])


@pytest.mark.parametrize(("line", "name"), [(parser, "prosumer-agent"), (operator_parser, "prosumer-operator")])
def test_both_commands_tell_their_version(
    capsys: pytest.CaptureFixture[str], line: Callable[[], argparse.ArgumentParser], name: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        line().parse_args(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{name} {version('prosumer-agent')}\n"


@pytest.mark.parametrize("line", [parser, operator_parser])
def test_every_command_and_option_says_what_it_is(line: Callable[[], argparse.ArgumentParser]) -> None:
    def silent(one: argparse.ArgumentParser) -> Iterator[str]:
        if not one.description:
            yield one.prog
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    yield from silent(inner)
            elif not action.help or action.help.startswith("default"):
                yield f"{one.prog} {action.option_strings or action.dest}"

    assert list(silent(line())) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (BadRequest("no"), 1),
        (NodeUnavailable("away"), 1),
        (KeystoreInvalid("none"), 1),
        (KeyboardInterrupt(), 1),
        (ConfigurationInvalid(["a: wrong", "b: wrong"]), 78),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException | None, code: int
) -> None:
    assert ends(monkeypatch, error) == code

    told = capsys.readouterr()
    assert told.out == ""
    if code == 78:
        assert told.err == "prosumer-agent: a: wrong\nprosumer-agent: b: wrong\n"
    elif code:
        assert len(told.err.splitlines()) == 1


def test_an_error_that_nobody_foresaw_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ends(monkeypatch, ZeroDivisionError())


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["keys"], ["keys", "import"], ["readings", "--limit", "0"], ["readings", "--since", "soon"],
     ["readings", "--since", "253402300800"],
     ["probe", "usb0"], ["status", "--jsn"], ["keys", "import", "a", "--typed"]],
)  # fmt: skip
def test_misuse_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main_room.main(arguments)

    assert ended.value.code == 2
    assert "usage: prosumer-agent" in capsys.readouterr().err


def test_the_configuration_is_named_before_or_after_the_command() -> None:
    before, after = (parser().parse_args(said) for said in (["--config", "x", "check"], ["check", "--config", "x"]))

    assert before.config == after.config == Path("x")
    assert parser().parse_args(["check"]).config == Path("/etc/prosumer-agent/prosumer-agent.toml")


def test_lines_and_times_are_read() -> None:
    assert parser().parse_args(["probe", "tcp://m:5020"]).line == TcpLine("m", 5020)
    assert parser().parse_args(["readings", "--since", "2026-06-22T08:30+03:30"]).since == 1_782_104_400
    assert parser().parse_args(["readings", "--since", "2026-06-22T05:00"]).since == 1_782_104_400
    assert parser().parse_args(["readings", "--since", "1782104400"]).since == 1_782_104_400


def test_no_command_takes_a_secret_as_an_argument() -> None:
    def options(line: argparse.ArgumentParser) -> set[str]:
        found = {name for action in line._actions for name in action.option_strings}
        for action in line._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= {name for inner in action.choices.values() for name in options(inner)}
        return found

    secret = {name for name in options(parser()) if "pass" in name or "key" in name or "secret" in name}

    assert secret == {"--keystore", "--passphrase-file", "--source-passphrase-file", "--new-passphrase-file"}


# Asking.


def test_nobody_is_asked_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    assert confirmed("Sure?", yes=True)
    with pytest.raises(BadRequest, match="--yes"):
        confirmed("Sure?", yes=False)


def test_who_ends_the_input_has_not_agreed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = io.StringIO("")
    monkeypatch.setattr(ended, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", ended)

    assert not confirmed("Sure?", yes=False)
    assert capsys.readouterr().out == "Sure? [y/N] \n"


def test_a_prompt_whose_input_ends_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(monkeypatch, EOFError()) == 1
    assert capsys.readouterr().err == "prosumer-agent: the input ended before everything was typed; run it again\n"


def test_an_operators_prompt_whose_input_ends_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prompt(_: argparse.Namespace) -> object:
        raise EOFError

    monkeypatch.setattr(requests, "_erase", prompt)

    assert operator_main(["requests", "erase", "0x5FbDB2315678afecb367f032d93F642f64180aa3"]) == 1
    assert "the input ended before everything was typed" in capsys.readouterr().err


# The passphrase.


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_credential_comes_first_then_the_file_then_the_prompt(tmp_path: Path) -> None:
    file = private(tmp_path / "file", b"from file\n")
    (tmp_path / "credentials").mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}

    assert passphrase.find(file, environ, lambda _: "typed") == b"from file"
    private(tmp_path / "credentials" / "keystore-passphrase", b"from systemd", 0o440)
    assert passphrase.find(file, environ, lambda _: "typed") == b"from systemd"
    assert passphrase.find(None, {}, lambda _: "typed") == b"typed"


def test_without_any_source_it_says_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    with pytest.raises(KeystoreInvalid, match="systemd credential 'keystore-passphrase'"):
        passphrase.find(None, {"PASSPHRASE": "never looked at"})


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [(b"x\n", 0o640, "chmod 600"), (b"\n", 0o600, "is empty"), (b"x" * 5000, 0o600, "one line")],
)
def test_a_bad_passphrase_file_is_refused(tmp_path: Path, content: bytes, mode: int, told: str) -> None:
    with pytest.raises(KeystoreInvalid, match=told):
        passphrase.from_file(private(tmp_path / "file", content, mode))
    with pytest.raises(KeystoreInvalid, match="name a file that exists"):
        passphrase.from_file(tmp_path / "none")


def test_a_new_passphrase_is_typed_twice() -> None:
    answers = iter(["one of twelve", "one of twelve", "one of twelve", "two of twelve"])

    assert passphrase.chosen(lambda _: next(answers)) == b"one of twelve"
    with pytest.raises(KeystoreInvalid, match="differ"):
        passphrase.chosen(lambda _: next(answers))


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("hello", 5), ("eleven char", 11), ("رمزعبور", 7), ("twelve chars", None), ("رمز عبور خانه", None)],
)
def test_a_new_passphrase_is_not_short(tmp_path: Path, text: str, count: int | None) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return text

    file = private(tmp_path / "file", text.encode() + b"\n")
    if count is None:
        assert passphrase.chosen(ask) == passphrase.new_from_file(file) == text.encode()
        return
    told = "is empty" if count == 0 else f"12 characters or more, and the one in {file} has {count}; take several words"
    with pytest.raises(KeystoreInvalid, match=f"12 characters or more, and what was typed has {count}; take"):
        passphrase.chosen(ask)
    with pytest.raises(KeystoreInvalid, match=told):
        passphrase.new_from_file(file)
    assert len(asked) == 1
    assert text == "" or text not in told


def test_an_old_short_passphrase_still_opens_its_keystore(tmp_path: Path) -> None:
    assert passphrase.find(private(tmp_path / "file", b"hello\n"), {}) == b"hello"
    assert passphrase.find(None, {}, lambda _: "hello") == b"hello"


# The log.


def test_the_log_is_one_json_object_a_line_without_the_frames_variables(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        hidden = bytes.fromhex("63346e617279").decode()  # a traceback shows this line, and must not show its value
        raise ValueError(f"length {len(hidden)}")

    log = run.logger(LogSettings(level="warning"))
    with pytest.raises(ValueError, match="length 6") as failure:
        fails()
    log.error("loop.failed", loop="seal", exception=failure.value)
    log.info("not.said")

    lines = capsys.readouterr().err.splitlines()
    told = json.loads(lines[0])
    assert len(lines) == 1
    assert list(told)[:3] == ["at", "level", "event"]
    assert (told["level"], told["event"], told["loop"]) == ("error", "loop.failed", "seal")
    assert "ValueError: length 6" in told["traceback"]
    assert "c4nary" not in lines[0]


def test_the_log_shows_no_more_of_a_nodes_address_than_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    cause = OSError("Pool(host='node.example'): Max retries exceeded with url: /v3/c4nary?key=c4nary (refused)")
    cause.__cause__ = ValueError("https://me:c4 'nary@node.example:8545/v3/c4nary is away")
    error = RuntimeError("nobody foresaw this")
    error.__cause__ = cause

    run.logger(LogSettings()).error("loop.failed", exception=error)

    told = json.loads(capsys.readouterr().err)["traceback"]
    assert "nary" not in told
    assert "with url: /… (refused)" in told
    assert "https://…@node.example:8545/… is away" in told


def test_the_console_log_is_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    run.logger(LogSettings(format="console")).info("agent.started", status="fine")

    assert "agent.started" in capsys.readouterr().err
