"""Certificates for TLS tests: an authority, servers and clients, made by the `openssl` program.

Keys are made in a directory of the test's own, readable by its owner only, and never leave it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulators.process import StartError

_CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_LIMIT_S: Final = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as PEM files.

    Attributes:
        certificate: The certificate's file.
        key: The private key's file, mode 0600.
    """

    certificate: Path
    key: Path


class Authority:
    """Signs servers and clients.

    Args:
        directory: Where its files and those it signs go.
        name: Its common name.

    Raises:
        StartError: There is no `openssl`.
    """

    def __init__(self, directory: Path, name: str = "Test authority") -> None:
        found = shutil.which("openssl")
        if found is None:
            raise StartError("openssl is not on PATH: install the Debian package openssl")
        self._openssl = found
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._identity = Identity(directory / "authority.crt", directory / "authority.key")
        self._run(
            *("req", "-x509", *_CURVE, "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", str(self._identity.key), "-out", str(self._identity.certificate)),
        )
        self._identity.key.chmod(0o600)

    @property
    def certificate(self) -> Path:
        """What clients and servers are to trust."""
        return self._identity.certificate

    def server(
        self, name: str, alternatives: tuple[str, ...] = ("DNS:localhost", "IP:127.0.0.1"), days: int = 2
    ) -> Identity:
        """Sign a server.

        Args:
            name: Its common name, and its files' name.
            alternatives: The names and addresses it answers for, as `DNS:...` and `IP:...`.
            days: For how long; negative makes one that has expired.
        """
        return self._sign(name, days, f"subjectAltName={','.join(alternatives)}\nextendedKeyUsage=serverAuth\n")

    def client(self, name: str, days: int = 2) -> Identity:
        """Sign a client; a broker takes its common name as the user's name.

        Args:
            name: Its common name, and its files' name.
            days: For how long; negative makes one that has expired.
        """
        return self._sign(name, days, "extendedKeyUsage=clientAuth\n")

    def _sign(self, name: str, days: int, extensions: str) -> Identity:
        base = self._directory / name
        request, wanted = base.with_suffix(".csr"), base.with_suffix(".ext")
        signed = Identity(base.with_suffix(".crt"), base.with_suffix(".key"))
        wanted.write_text(f"basicConstraints=CA:FALSE\n{extensions}", encoding="utf-8")
        self._run("req", *_CURVE, "-subj", f"/CN={name}", "-keyout", str(signed.key), "-out", str(request))
        self._run(
            *("x509", "-req", "-in", str(request), "-days", str(days), "-extfile", str(wanted)),
            *("-CA", str(self._identity.certificate), "-CAkey", str(self._identity.key), "-CAcreateserial"),
            *("-out", str(signed.certificate)),
        )
        signed.key.chmod(0o600)
        for spent in (request, wanted):
            spent.unlink()
        return signed

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [self._openssl, *arguments], check=False, capture_output=True, text=True, timeout=_LIMIT_S
        )
        if done.returncode:
            raise StartError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
