"""Looks for secrets in the tracked files and, on request, in every line that history ever added.

A scanner of our own is small enough to be read, runs offline, and knows what a secret looks like
here: private keys of accounts above all. A line that only looks like one says so beside itself:
`not a secret:` and the reason.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Lock files and artifacts are hashes and byte code from end to end; what makes them is reviewed.
SKIPPED = re.compile(r"(^|/)(package-lock\.json|requirements[\w-]*\.lock|LICENSE)$|^contracts/artifacts/.*\.json$")

EXCUSE = "not a secret:"

# Shapes that are secrets wherever they stand.
SHAPES = {
    "a private key in PEM form": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an encrypted account key": re.compile(r'"ciphertext"\s*:\s*"[0-9a-f]{64}"'),
    "an access token of a code host": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|glpat-[\w-]{20})"),
    "an access key of a cloud": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    # Not at a name that is reserved for examples (RFC 2606): nobody is there.
    "a password in an address": re.compile(
        r"\b[a-z][a-z0-9+]*://[^\s/:@'\"{}<>$]+:[^\s/@'\"{}<>$]+@(?![\w.-]*\b(?:example|invalid|test)\b)[\w.]"
    ),
}

# 32 bytes of hexadecimal are a private key where the line calls them one; elsewhere they are a hash
# (and in Solidity `private` alone is a visibility).
KEY_MATERIAL = re.compile(r"(?i)(?:priv(?:ate)?[\s_-]*key|signing[\s_-]*key|secret).{0,60}?\b(?:0x)?[0-9a-f]{64}\b")

# A word that names a secret, set to a literal; one that begins as a path or a template does is none.
ASSIGNMENT = re.compile(
    r"(?i)\b\w*(?:password|passphrase|passwd|secret|api_?key|token)\w*[\"']?\s*[:=]\s*[\"']([^\"'\s/~.$<{][^\"'\s]{11,})[\"']"
)

# Bits a character, of the literal's own letters. Words and names stay below 3.5 at these lengths
# ("distribution-agent" has 3.3); random base64 of 16 characters or more lies above 3.6.
ENTROPY_OF_RANDOM = 3.6


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicious line.

    Attributes:
        where: The file and line, or the commit and file.
        what: What it looks like. The line itself is not kept: a report must not repeat a secret.
    """

    where: str
    what: str


def entropy(text: str) -> float:
    """How unpredictable a text's letters are, in bits a letter (Shannon's entropy)."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def suspicion(line: str) -> str | None:
    """What kind of secret a line seems to hold.

    Args:
        line: One line of text.

    Returns:
        Words for the kind, or None for an ordinary line.
    """
    if EXCUSE in line:
        return None
    for what, shape in SHAPES.items():
        if shape.search(line):
            return what
    if KEY_MATERIAL.search(line):
        return "32 bytes that the line calls private"
    for literal in ASSIGNMENT.findall(line):
        if entropy(literal) > ENTROPY_OF_RANDOM:
            return "a random literal given to a name that means a secret"
    return None


def scan(path: str, lines: Iterable[str]) -> Iterator[Finding]:
    """Find the suspicious lines of one file.

    Args:
        path: The file's name, from the repository's root.
        lines: Its lines.

    Yields:
        A finding for each suspicious line.
    """
    if SKIPPED.search(path):
        return
    for number, line in enumerate(lines, start=1):
        if what := suspicion(line):
            yield Finding(f"{path}:{number}", what)


def tracked(root: Path) -> list[str]:
    """The names of the files that git tracks below a folder."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    names = listing.stdout.decode().split("\0")
    # A file may be tracked and, for the moment, gone.
    return [name for name in names if name and (root / name).is_file()]


def scan_files(root: Path) -> Iterator[Finding]:
    """Find the suspicious lines of all tracked files, as they stand on the disk."""
    for name in tracked(root):
        yield from scan(name, (root / name).read_text(encoding="utf-8", errors="replace").splitlines())


def scan_history(root: Path) -> Iterator[Finding]:
    """Find the suspicious lines that any commit of any branch added."""
    command = ["git", "log", "--all", "--patch", "--unified=0", "--no-color", "--format=commit %h"]
    commit, path = "", ""
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as log:
        if log.stdout is None:
            raise RuntimeError("git log was started without a pipe")
        for line in log.stdout:
            if line.startswith("commit "):
                commit = line.split()[1]
            elif line.startswith("+++ "):
                path = line[4:].strip().removeprefix("b/")
            elif line.startswith("+") and not SKIPPED.search(path) and (what := suspicion(line)):
                yield Finding(f"commit {commit}, {path}", what)
    if log.returncode != 0:
        raise RuntimeError(f"git log ended with code {log.returncode}, so history was not scanned whole")


def main() -> int:
    """Scan, print the findings, and say with the exit code whether there were any."""
    parser = argparse.ArgumentParser(description="Look for secrets in this repository.")
    parser.add_argument("--history", action="store_true", help="also every line that a commit added")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    findings = list(scan_files(root))
    if arguments.history:
        findings += scan_history(root)
    for finding in findings:
        print(f"{finding.where}: looks like {finding.what}")
    print(f"secret scan: {len(findings)} suspicious lines")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
