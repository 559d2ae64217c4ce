"""A Debian 12 of its own, made with debootstrap and booted with systemd-nspawn; shares this machine's loopback."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
INCLUDED = "systemd,systemd-sysv,dbus,python3,python3-venv,udev"
NEEDED = ("debootstrap", "systemd-nspawn", "nsenter")
# Controllers whose limits are to hold inside. On a host with cgroups v1, systemd-nspawn mounts them read-only.
_CONTROLLERS = ("devices", "memory", "pids")
_CGROUPS = Path("/sys/fs/cgroup")
_CACHE = Path(os.environ.get("PROSUMER_TEST_CACHE", "/var/cache/prosumer-agent-tests"))
_BOOT_S = 60.0
_COMMAND_S = 300.0
# A shell that joins each cgroup and then becomes the program behind "--".
_BEGIN_IN_GROUPS = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
_ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root")


class CommandFailed(AssertionError):
    """A command inside ended with another code than expected; the text holds what it said."""


def missing_program() -> str | None:
    """What this host lacks to boot a machine, in words, or None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    gone = [name for name in NEEDED if shutil.which(name, path=path) is None]
    return f"needs {', '.join(gone)}; run: .ci/setup fault-tools" if gone else None


def fresh_debian() -> Path:
    """A debootstrap tree, made once for each list of packages; ``PROSUMER_FRESH_MACHINE=1`` makes it anew."""
    tree = _CACHE / f"{SUITE}-{hashlib.sha256(INCLUDED.encode()).hexdigest()[:12]}"
    if os.environ.get("PROSUMER_FRESH_MACHINE"):
        shutil.rmtree(tree, ignore_errors=True)
    if not tree.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as place:
            made = Path(place) / "root"
            command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(made), *_mirror()]
            _run_on_host(command)
            made.rename(tree)
    return tree


def locked_packages(tree: Path) -> Path:
    """A folder with the wheels that requirements.lock names, for the Python inside."""
    lock = REPOSITORY / "requirements.lock"
    version = (tree / "usr/bin/python3").readlink().name.removeprefix("python")
    folder = _CACHE / f"wheels-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_CACHE) as place:
            made = Path(place) / "wheels"
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            command += ["--only-binary", ":all:", "--python-version", version]
            _run_on_host([*command, "--dest", str(made), "--requirement", str(lock)])
            made.rename(folder)
    return folder


def _mirror() -> list[str]:
    """Where this host itself gets Debian from, if it says so; else debootstrap's own default."""
    form = "--format=$(REPO_URI)"
    wanted = ("Origin: Debian", f"Codename: {SUITE}", "Created-By: Packages")
    if shutil.which("apt-get") is None:
        return []
    told = subprocess.run(["apt-get", "indextargets", form, *wanted], capture_output=True, text=True, check=False)
    return sorted(set(told.stdout.split()))[:1]


def _run_on_host(command: Sequence[str]) -> None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CommandFailed(f"{command[0]} ended with code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")


class Machine:
    """One machine. Use it as a context manager; nothing of it is left at the end.

    Args:
        root: Where its tree is copied to; must not exist.
        binds: Files and devices of this host that it sees: place here to place there.
    """

    def __init__(self, root: Path, binds: dict[Path, str] | None = None) -> None:
        self.root = root
        self._binds = binds or {}
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._group = f"prosumer-test-{os.getpid()}"

    def __enter__(self) -> Self:
        subprocess.run(["cp", "--archive", "--reflink=auto", str(fresh_debian()), str(self.root)], check=True)
        # With this folder the system's journal survives a cut.
        (self.root / "var/log/journal").mkdir(exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_power()
        shutil.rmtree(self.root, ignore_errors=True)

    def boot(self) -> None:
        """Start it, and return when its systemd says that it runs."""
        for group in self._groups():
            group.mkdir(exist_ok=True)
        binds = [f"--bind={here}:{there}" for here, there in self._binds.items()]
        nspawn = ["systemd-nspawn", "--directory", str(self.root), "--boot", "--register=no", "--keep-unit"]
        groups = [str(group) for group in self._groups()]
        with (self.root.parent / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", _BEGIN_IN_GROUPS, "sh", *groups, "--", *nspawn, "--console=pipe", *binds],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_for_boot()
        # What this host's kernel counts is made writable, so that devices and limits are really enforced inside.
        if all((_CGROUPS / name).is_dir() for name in _CONTROLLERS):
            for name in _CONTROLLERS:
                self.run("mount", "-o", "remount,rw,bind", f"/sys/fs/cgroup/{name}")
            self.run("systemctl", "daemon-reexec")
            self._wait_for_boot()

    def cut_power(self) -> None:
        """Everything inside ends at once, without a word."""
        if self._nspawn is None:
            return
        # The first process inside takes all others with it, and nspawn ends after it.
        leader = self._leader()
        if leader is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)
        else:
            self._nspawn.kill()
        self._nspawn.wait(timeout=30)
        self._nspawn = None
        for group in self._groups():
            _remove_group(group)

    def run(self, *command: str, expected: int | None = 0, given: str | None = None) -> str:
        """Run a command inside as root.

        Args:
            command: The program and its arguments.
            expected: Its exit code; None where any will do.
            given: What it reads.

        Returns:
            Both its outputs.
        """
        leader = self._leader()
        if leader is None:
            raise CommandFailed(f"the machine does not run; {self.console()}")
        done = subprocess.run(
            ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-p", "-C", "--", "env", "-i", *_ENVIRONMENT, *command],
            input=given or "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_COMMAND_S,
            check=False,
        )
        if expected is not None and done.returncode != expected:
            raise CommandFailed(f"{' '.join(command)}: code {done.returncode}, not {expected}: {done.stdout[-3000:]}")
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside, of root."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(mode)

    def add_device(self, path: str, major: int, minor: int) -> None:
        """Add a character device that everybody may open, as far as its mode goes."""
        node = Path(f"/proc/{self._leader()}/root{path}")
        if not node.exists():
            os.mknod(node, 0o020666, os.makedev(major, minor))
            node.chmod(0o666)

    def bring_checkout(self, path: str) -> None:
        """Copy the repository's files as they stand to a folder inside; what git ignores stays here."""
        place = self.root / path.lstrip("/")
        place.mkdir(parents=True)
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, check=True).stdout
        present = [name for name in names.split(b"\0") if name and (REPOSITORY / os.fsdecode(name)).is_file()]
        with subprocess.Popen(
            ["tar", "--null", "--files-from=-", "-cf", "-"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as packing:
            unpacking = subprocess.Popen(["tar", "-C", str(place), "-xf", "-"], stdin=packing.stdout)
            if packing.stdin is None:
                raise CommandFailed("tar was started without a pipe")
            packing.stdin.write(b"\0".join(present))
            packing.stdin.close()
            code = unpacking.wait()
        if code or packing.returncode:
            raise CommandFailed(f"the checkout was not copied: tar ended with {packing.returncode} and {code}")

    def console(self) -> str:
        """The end of what it said while it booted."""
        log = self.root.parent / "console.log"
        return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else "it said nothing"

    # -- process and cgroups

    def _leader(self) -> int | None:
        """The first process inside, by its number out here."""
        if self._nspawn is None or self._nspawn.poll() is not None:
            return None
        task = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        children = task.read_text(encoding="ascii").split() if task.exists() else []
        return int(children[0]) if children else None

    def _wait_for_boot(self) -> None:
        deadline = time.monotonic() + _BOOT_S
        said = ""
        while time.monotonic() < deadline:
            with contextlib.suppress(CommandFailed):
                said = self.run("systemctl", "is-system-running", expected=None).strip()
            if said in {"running", "degraded"}:
                return
            time.sleep(0.2)
        raise CommandFailed(f"after {_BOOT_S:g} s systemd says {said!r}; {self.console()}")

    def _groups(self) -> Iterator[Path]:
        for hierarchy in sorted(_CGROUPS.iterdir()) if _CGROUPS.is_dir() else []:
            if (
                hierarchy.is_dir()
                and not hierarchy.is_symlink()
                and hierarchy.name in {*_CONTROLLERS, "systemd", "unified"}
            ):
                yield hierarchy / self._group


def _remove_group(group: Path) -> None:
    """Remove a cgroup with those below it, as soon as the last process has gone."""
    for _ in range(50):
        try:
            for directory, _, _ in os.walk(group, topdown=False):
                Path(directory).rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
