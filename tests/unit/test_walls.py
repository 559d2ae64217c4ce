"""The walls that import-linter cannot express; the others are its contracts in pyproject.toml."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A pure room is handed what it needs: whoever imports these can reach a file, a process, a wire, the
# clock or chance.
IMPURE = frozenset(
    {
        "asyncio", "ctypes", "fcntl", "glob", "http", "io", "logging", "mmap", "multiprocessing", "os",
        "pathlib", "pickle", "random", "select", "selectors", "shutil", "signal", "socket",
        "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "termios", "threading", "time", "urllib",
    }
)  # fmt: skip


def _imports(file: Path) -> set[str]:
    package = ".".join(file.relative_to(ROOT).with_suffix("").parts[:-1])
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            found.add(".".join([*base, *([node.module] if node.module else [])]))
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from agent import adapters` names a room as well as `from agent.adapters import x`.
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def _files(room: str) -> list[Path]:
    place = ROOT.joinpath(*room.split("."))
    return [*place.rglob("*.py"), *([place.with_suffix(".py")] if place.with_suffix(".py").is_file() else [])]


def _inside(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def _breaches(rooms: list[str], *, may_import: frozenset[str], own: str) -> list[str]:
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for room in rooms
        for file in _files(room)
        if "node_modules" not in file.parts
        for name in sorted(_imports(file))
        if name.split(".")[0] not in may_import and not _inside(name, own) and name != own.split(".", maxsplit=1)[0]
    ]


def test_the_domain_imports_the_standard_library_only() -> None:
    assert _breaches(["agent.domain"], may_import=sys.stdlib_module_names, own="agent.domain") == []


def test_the_contracts_loader_imports_the_standard_library_only() -> None:
    assert _breaches(["contracts"], may_import=sys.stdlib_module_names, own="contracts") == []


def test_stages_import_the_domain_and_the_standard_library_only() -> None:
    breaches = _breaches(["agent.stages"], may_import=sys.stdlib_module_names | {"structlog"}, own="agent")

    assert breaches == []
    assert [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in _files("agent.stages")
        for name in sorted(_imports(file))
        if _inside(name, "agent") and not name.startswith(("agent.domain", "agent.stages")) and name != "agent"
    ] == []


@pytest.mark.parametrize("room", ["agent.domain", "agent.light"])
def test_a_pure_room_can_reach_nothing(room: str) -> None:
    assert [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in _files(room)
        for name in sorted(_imports(file))
        if name.split(".")[0] in IMPURE
    ] == []


def test_compose_alone_names_concrete_classes() -> None:
    concrete = ("agent.adapters", "drivers", "contracts")
    allowed = {*_files("agent.compose"), *_files("agent.adapters")}

    assert [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in _files("agent")
        if file not in allowed
        for name in sorted(_imports(file))
        if any(_inside(name, room) for room in concrete)
    ] == []


def test_imports_are_read_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "agent" / "cli"
    room.mkdir(parents=True)
    file = room / "run.py"
    file.write_text(
        "import os.path\nfrom agent import adapters\nfrom ..domain import orders\ndef f():\n    import web3\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)

    assert {"os.path", "agent", "agent.adapters", "agent.domain", "web3"} == _imports(file)
