"""One full node of a consortium: go-ethereum as a process, which seals when its key is an authorised one.

Everybody may ask what a household asks (`eth`, `net`, `web3`) over HTTP on loopback; what steers the node goes over its
Unix socket. Secrets are in files: no argument, environment or message has one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from simulators import json_rpc
from simulators.consortium.clique import Identity
from simulators.process import Child, StartError

VERSION: Final = "1.13.15"
"""The last release that seals Clique blocks."""

_PROGRAM: Final = Path(__file__).resolve().parents[2] / ".tools" / "geth"
_INIT_S: Final = 60.0
_START_S: Final = 60.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.05
_API: Final = "eth,net,web3"
_STORE: Final = ("--state.scheme", "hash")


def find_geth() -> Path | None:
    """Find go-ethereum's node: the one that `.ci/setup consortium` built, or the same release on PATH; else None."""
    on_path = shutil.which("geth")
    for candidate in (_PROGRAM, *([Path(on_path)] if on_path else [])):
        if os.access(candidate, os.X_OK) and _seals_clique(candidate):
            return candidate.resolve()
    return None


def _seals_clique(program: Path) -> bool:
    told = subprocess.run([str(program), "version"], capture_output=True, text=True, timeout=_INIT_S, check=False)
    return f"Version: {VERSION}" in told.stdout


class Node:
    """A full node of one area. Start and stop it; its chain, keys and ports stay.

    Args:
        program: go-ethereum's.
        directory: Where its chain, keys and log are kept.
        identity: Its keys.
        genesis: The network's genesis file.
        sockets: Folder of Unix sockets, with a short path: the system takes no longer one than about 100 characters.
        area: The area that runs it.
        chain_id: The chain's number.
        options: More arguments for the program.
    """

    def __init__(
        self,
        *,
        program: Path,
        directory: Path,
        identity: Identity,
        genesis: Path,
        sockets: Path,
        area: str,
        chain_id: int,
        options: Sequence[str] = (),
    ) -> None:
        self.area = area
        self.identity = identity
        self.log = directory / "geth.log"
        self._program = program
        self._directory = directory
        self._genesis = genesis
        self._socket = sockets / f"{area}.ipc"
        self._chain_id = chain_id
        self._options = tuple(options)
        self._http_port = 0
        self._peer_port = 0
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not been stopped."""
        return self._child is not None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of its JSON-RPC, for a proxy; the same from its first start on."""
        return "127.0.0.1", self._http_port

    @property
    def url(self) -> str:
        """What to give to a client; the same from its first start on."""
        return f"http://127.0.0.1:{self._http_port}"

    @property
    def enode(self) -> str:
        """By which its peers find it."""
        return f"enode://{self.identity.public_key}@127.0.0.1:{self._peer_port}"

    def start(self, peers: Sequence[str]) -> None:
        """Start it, and wait until it answers. Doing it twice is doing it once.

        Args:
            peers: Enode URLs of those that it connects to, again and again while they are away.

        Raises:
            StartError: It did not start; with its own words.
        """
        if self._child is not None:
            return
        if not (self._directory / "geth").exists():
            self._begin_chain()
        settings = self._directory / "geth.toml"
        # JSON's lists of plain strings are TOML's too.
        settings.write_text(f"[Node.P2P]\nStaticNodes = {json.dumps(list(peers))}\n", encoding="utf-8")
        child = Child([str(self._program), *self._arguments(settings)], f"geth of {self.area}")
        try:
            told = child.wait_for_line(r"HTTP server started +endpoint=127\.0\.0\.1:(\d+)", _START_S)
            self._http_port = int(told[1])
            self._await_answer(child)
        except StartError:
            child.kill()
            raise
        self._child = child
        told_peers: Any = self.command("admin_nodeInfo")
        self._peer_port = int(told_peers["ports"]["listener"])

    def stop(self) -> None:
        """End it in good order."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop(_STOP_S)

    def kill(self) -> None:
        """End it with SIGKILL, as when its power is cut."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()

    def rpc(self, method: str, *params: object) -> object:
        """Call a JSON-RPC method over HTTP, as a household does.

        Raises:
            RpcError: The node refused; with its own words.
            OSError: The node does not answer.
        """
        return json_rpc.over_http(self.url, method, params)

    def command(self, method: str, *params: object) -> object:
        """Call a method over its socket, as the area does that runs it.

        Raises:
            RpcError: The node refused; with its own words.
            OSError: The node does not answer.
        """
        return json_rpc.over_socket(self._socket, method, params)

    def block_number(self) -> int:
        """The head's number."""
        return int(str(self.rpc("eth_blockNumber")), 16)

    def head(self) -> str:
        """The head's hash."""
        told: Any = self.rpc("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC's own
        return str(told["hash"])

    def block_hash(self, number: int) -> str | None:
        """The hash of its block of that number; None above its head."""
        found: Any = self.rpc("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003 - JSON-RPC's own
        return None if found is None else str(found["hash"])

    def peers(self) -> set[str]:
        """Public keys of the nodes that it is connected to."""
        told: Any = self.command("admin_peers")
        return {str(peer["enode"]).removeprefix("enode://").partition("@")[0] for peer in told}

    def _begin_chain(self) -> None:
        done = subprocess.run(
            [str(self._program), "--datadir", str(self._directory), *_STORE, "init", str(self._genesis)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INIT_S,
            check=False,
            start_new_session=True,
        )
        if done.returncode != 0:
            raise StartError(f"geth init of {self.area} ended with code {done.returncode}. It said:\n{done.stderr}")

    def _arguments(self, settings: Path) -> list[str]:
        identity = self.identity
        return [
            *("--config", str(settings), "--datadir", str(self._directory), *_STORE),
            *("--networkid", str(self._chain_id), "--nodiscover", "--nat", "none", "--netrestrict", "127.0.0.0/8"),
            *("--port", str(self._peer_port), "--nodekey", str(identity.node_key)),
            *("--http", "--http.addr", "127.0.0.1", "--http.port", str(self._http_port), "--http.api", _API),
            *("--http.vhosts", "localhost", "--authrpc.port", "0", "--ipcpath", str(self._socket)),
            # Every block's state goes to the disk at once (archive): a node that is killed loses none, and no
            # node of the network has to be fetched from another that was killed with it.
            *("--syncmode", "full", "--gcmode", "archive", "--snapshot=false", "--cache", "64"),
            # The account holds nothing and seals only; whoever may sign over HTTP could make it sign no block.
            *("--mine", "--miner.etherbase", identity.address, "--unlock", identity.address),
            *("--password", str(identity.passphrase), "--keystore", str(identity.keystore.parent)),
            *("--allow-insecure-unlock", "--miner.gasprice", "1", "--log.file", str(self.log)),
            *self._options,
        ]

    def _await_answer(self, child: Child) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.command("net_version")
                self.rpc("eth_chainId")
            except OSError as error:
                if not child.running or time.monotonic() > deadline:
                    raise child.failure("it does not answer") from error
                time.sleep(_POLL_S)
            else:
                return
