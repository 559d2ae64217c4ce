"""The rules of the house that a linter does not know, held against every tracked file."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-analysis.lock", "requirements-node.lock")
CODE = (".py", ".sol", ".mjs", ".js", ".cjs", ".sh", ".sql")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


secret_scan = _load(ROOT / ".ci" / "secret_scan.py")

try:
    TRACKED: list[str] = secret_scan.tracked(ROOT)
except (subprocess.CalledProcessError, FileNotFoundError):
    TRACKED = []

pytestmark = pytest.mark.skipif(not TRACKED, reason="not a git checkout, so there are no tracked files")


def _is_generated(name: str) -> bool:
    return name.endswith((".lock", "package-lock.json")) or name.startswith("contracts/artifacts/")


def _texts() -> Iterator[tuple[str, str]]:
    for name in TRACKED:
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            yield name, data.decode("utf-8")


def _matches(pattern: re.Pattern[str], *, generated: bool = False) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in _texts()
        if generated or not _is_generated(name)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def _project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


# --- Rooms ---


def test_no_file_of_code_reaches_400_lines() -> None:
    sizes = {name: len(text.splitlines()) for name, text in _texts() if name.endswith(CODE)}

    assert {name: lines for name, lines in sizes.items() if lines >= 400} == {}


def test_no_room_is_a_drawer() -> None:
    drawer = re.compile(r"(?:^|[_.-])(?:utils?|helpers?|managers?|misc)(?:$|[_.-])", re.IGNORECASE)

    assert [name for name in TRACKED if any(drawer.search(part) for part in Path(name).parts)] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [Path(name).name for name in TRACKED if Path(name).name.startswith("test_")]

    assert sorted(set(names)) == sorted(names)


# --- Words ---


def test_nothing_is_left_for_later() -> None:
    # In pieces, so that this line is not what it looks for.
    later = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")

    assert _matches(later) == []


def test_no_file_names_a_package_registry() -> None:
    registry = re.compile(
        r"(?i)\b(?:registry|index|files|mirrors?|proxy|deb|repo1?|archive|static)\.[\w-]+\.(?:org|com|io|net)\b"
        r"|\b(?:pypi|npmjs|pythonhosted|yarnpkg|crates|debian)\.(?:org|com|io|net)\b"
        r"|--(?:extra-)?index[-]url|--find[-]links[= ]\S*//"
    )

    assert _matches(registry, generated=True) == []


def test_lock_files_name_no_address() -> None:
    locks = [name for name in TRACKED if name.endswith((".lock", "package-lock.json"))]
    download = re.compile(r'"resolved"\s*:|^--|@ (?:https?|git|file)')

    assert {*LOCKS} <= {*locks}
    assert [
        f"{name}: {line}" for name in locks for line in (ROOT / name).read_text().splitlines() if download.search(line)
    ] == []


def test_no_file_names_a_place_on_one_machine() -> None:
    places = _matches(re.compile(r"/(?:work|farm|root)/|(?<![\w*])[.]library\b"), generated=True)

    # The machines that the system tests make have a root of their own, whose home is no place of ours.
    assert [place for place in places if not re.match(r"tests/system/.*/root\b", place)] == []


def test_no_file_holds_a_secret() -> None:
    assert list(secret_scan.scan_files(ROOT)) == []


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN EC PRIVATE " + "KEY-----",
        "private_key = 0x" + "1f" * 32,
        'passphrase = "' + "pV7xQ2mZ9rT4kB8w" + '"',
        '  "password": "' + "N0t-4-w0rd/Zx9Qk" + '",',
        "mqtts://household:" + "hunter2hunter2@broker.grid.net",
        "AKIA" + "ABCDEFGHIJKLMNOP",
    ],
)
def test_the_scanner_sees_a_planted_secret(line: str) -> None:
    assert secret_scan.suspicion(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        'block_hash = "0x' + "ab" * 32 + '"',
        'passphrase_file = "/etc/prosumer-agent/passphrase"',
        "https://example.org/path",
        "uint256 private constant TOPIC = 0x" + "ab" * 32 + ";",
        "https://user:canary@node.example/",
        'private_key = "0x' + "1f" * 32 + '"  # not a secret: a published test vector',
    ],
)
def test_the_scanner_lets_an_ordinary_line_pass(line: str) -> None:
    assert secret_scan.suspicion(line) is None


# --- Exceptions to the rules ---

_DIRECTIVE = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|nosec|pragma:\s*no cover|pylint:)"
    r"(?::\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*|\[[\w,\s-]+\]|\s+B\d+)?(?P<rest>.*)"
    r"|//\s*(?:slither-disable\S*\s+\S+|solhint-disable\S*\s+\S+|forge-lint:\s*\S+)(?P<sol>.*)"
)
_BLANKET = re.compile(r"#\s*(?:noqa(?!:)|type:\s*ignore(?!\[)|ruff:\s*noqa\s*$)")
_REASON = re.compile(r"[A-Za-z]{3,}")


def _silences(name: str, text: str) -> Iterator[str]:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = _DIRECTIVE.search(line)
        if found is None:
            continue
        before = lines[number - 1].strip() if number else ""
        said = _REASON.search((found["rest"] or "") + (found["sol"] or ""))
        said_above = before.startswith(("#", "//", "*", "///")) and not _DIRECTIVE.search(before)
        if _BLANKET.search(line) or not (said or said_above):
            yield f"{name}:{number + 1}: {line.strip()}"


def test_every_silenced_finding_has_its_reason_beside_it() -> None:
    assert [
        silence
        for name, text in _texts()
        if name.endswith((".py", ".sol")) and name != "tests/unit/test_repository.py"
        for silence in _silences(name, text)
    ] == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("x = 1  # noqa: E501", True),
        ("x = 1  # noqa", True),
        ("x: int = f()  # type: ignore  # it is untyped, and stays so", True),
        ("x: int = f()  # type: ignore[no-any-return]", True),
        ("x = 1  # noqa: S104 - compared, never bound", False),
        ("x = f()  # type: ignore[misc]  # the library has no types", False),
        ("# the library has no types\nx = f()  # type: ignore[misc]", False),
        ("// slither-disable-next-line timestamp", True),
        ("// minutes do not matter here\n// slither-disable-next-line timestamp", False),
    ],
)
def test_a_silence_without_reason_is_found(line: str, *, is_found: bool) -> None:
    assert is_found == bool(list(_silences("example", line)))


def test_every_rule_ignored_in_pyproject_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    rules = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.pydocstyle]")]
    entries = [line for line in rules.splitlines() if re.search(r'"[A-Z]+\d*"', line) and "select" not in line]
    # A rule for several folders is explained at the first of them.
    explained = {code for line in entries if "#" in line for code in re.findall(r'"([A-Z]+\d*)"', line)}

    assert [line for line in entries if not explained.issuperset(re.findall(r'"([A-Z]+\d*)"', line))] == []


# --- Dependencies ---


def _pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def _wanted(lock: str) -> list[str]:
    data = _project()
    project, groups = data["project"], data["dependency-groups"]
    assert isinstance(project, dict)
    assert isinstance(groups, dict)
    extras = project["optional-dependencies"]
    runtime = [*project["dependencies"], *extras["build"]]
    return {
        "requirements.lock": runtime,
        "requirements-dev.lock": [*runtime, *extras["dev"], *extras["postgres"]],
        "requirements-analysis.lock": groups["analysis"],
        "requirements-node.lock": groups["node"],
    }[lock]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_file_is_in_step_with_pyproject(lock: str) -> None:
    pins = _pins(lock)
    wanted = [Requirement(text) for text in _wanted(lock)]

    assert [
        f"{requirement}: locked {pins.get(canonicalize_name(requirement.name))}; run: make lock"
        for requirement in wanted
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)

    assert [block.split("\n")[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []


def test_tests_run_with_the_versions_that_a_household_installs() -> None:
    assert _pins("requirements.lock").items() <= _pins("requirements-dev.lock").items()


def test_the_build_extra_is_what_the_build_needs() -> None:
    data = _project()
    project, build = data["project"], data["build-system"]
    assert isinstance(project, dict)
    assert isinstance(build, dict)

    assert build["requires"] == project["optional-dependencies"]["build"]


@pytest.mark.parametrize(
    ("folder", "group"), [("contracts", "devDependencies"), ("tests/second_verifier", "dependencies")]
)
def test_the_npm_lock_file_is_in_step_with_its_package_file(folder: str, group: str) -> None:
    package = json.loads((ROOT / folder / "package.json").read_text())
    locked = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]

    assert locked[""][group] == package[group]
    assert package[group] == {name: locked[f"node_modules/{name}"]["version"] for name in package[group]}


@pytest.mark.parametrize("folder", ["contracts", "tests/second_verifier"])
def test_every_npm_package_has_its_hash_but_binaries_that_could_not_be_had(folder: str) -> None:
    locked = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    # Whoever wrote the lock file reached a registry that had no others than its own platform's. They are named, so
    # that npm installs them elsewhere, and .ci/setup says so when it takes one without a hash.
    foreign = re.compile(r"node_modules/@foundry-rs/(?:anvil|forge)-(?:darwin-a\w+|linux-arm64|win32-amd64)")

    without = [name for name, entry in locked.items() if name and "integrity" not in entry]

    assert [name for name in without if not foreign.fullmatch(name)] == []
    assert [name for name in without if not locked[name].get("optional") or "os" not in locked[name]] == []


# --- Commands ---


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("page", [name for name in TRACKED if name.endswith(".md")])
def test_every_make_command_that_a_page_names_exists(page: str) -> None:
    # Only what stands as code is a command; "make sure" is not.
    text = (ROOT / page).read_text()
    spans = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    named = {target for span in spans for target in re.findall(r"(?:^|[\s`(;&])make ([a-z][a-z-]*)", span)}

    assert set() == named - _targets()


def test_every_target_is_phony_and_explained() -> None:
    text = (ROOT / "Makefile").read_text()

    assert _targets() == set(re.findall(r"^\.PHONY: ([a-z-]+)$", text, flags=re.MULTILINE))
    assert _targets() == set(re.findall(r"^([a-z-]+):.*## \S", text, flags=re.MULTILINE))


def test_scripts_of_the_house_are_executable() -> None:
    scripts = [name for name in TRACKED if name.startswith(".ci/") and "." not in Path(name).name]

    assert ".ci/run" in scripts
    assert [name for name in scripts if not (ROOT / name).stat().st_mode & 0o100] == []
