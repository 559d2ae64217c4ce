"""A full node for development: Anvil, started, steered by JSON-RPC and stopped.

Anvil's dev accounts come from a phrase that everybody knows. They hold nothing anywhere else, and nothing
of worth may ever be sent to them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from simulators import json_rpc
from simulators.account import Account
from simulators.process import Child, StartError

_START_S: Final = 30.0
_POLL_S: Final = 0.05
_RPC_POLLS: Final = 100
_STATE_NAME: Final = "state.json"


def find_anvil(given: Path | None = None) -> Path:
    """Find the Anvil program.

    Args:
        given: Where it is said to be; otherwise npm's folder under `contracts`, then PATH.

    Raises:
        StartError: It is nowhere; says what to install.
    """
    if given is not None:
        if os.access(given, os.X_OK):
            return given.resolve()
        raise StartError(f"Anvil: {given} is not a program")
    modules = Path(__file__).resolve().parent.parent / "contracts" / "node_modules"
    # The native program first: npm's own launcher is a Node script that starts it as a child.
    for candidate in (*sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil")), modules / ".bin" / "anvil"):
        if os.access(candidate, os.X_OK):
            return candidate.resolve()
    on_path = shutil.which("anvil")
    if on_path is None:
        raise StartError(f"Anvil is neither under {modules} nor on PATH: run `npm ci --prefix contracts`")
    return Path(on_path).resolve()


class Anvil:
    """One development node. Use it as a context manager, or `start` and `stop` it.

    Args:
        binary: The program; found by `find_anvil` where it is left out.
        directory: Where its state is kept from run to run; a temporary one, removed at the end, otherwise.
        port: Port to listen on; 0 lets the system choose at the first start, and keeps it from then on.
        chain_id: The chain's number.
        block_time_s: Seconds between blocks; None mines a block for each transaction.
        mining: False mines only when told (`mine`), so that transactions wait in the mempool.
        accounts: How many dev accounts there are.
        balance_eth: What each holds, in whole ether.
        hardfork: The rules of the chain; the networks this is meant for have none later than Shanghai.
        genesis_epoch: UTC seconds of the first block; now where it is left out.
        extra: More arguments for Anvil.
    """

    def __init__(
        self,
        *,
        binary: Path | None = None,
        directory: Path | None = None,
        port: int = 0,
        chain_id: int = 31_337,
        block_time_s: float | None = None,
        mining: bool = True,
        accounts: int = 10,
        balance_eth: int = 10_000,
        hardfork: str = "shanghai",
        genesis_epoch: int | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self.port = port
        self.chain_id = chain_id
        self._binary = find_anvil(binary)
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="anvil-")
        self._directory = directory or Path(self._temporary.name if self._temporary else ".")
        self._keeps_state = directory is not None
        self._arguments = [
            *("--host", "127.0.0.1", "--chain-id", str(chain_id), "--hardfork", hardfork),
            *("--accounts", str(accounts), "--balance", str(balance_eth)),
            *(() if block_time_s is None else ("--block-time", f"{block_time_s:g}")),
            *(() if mining else ("--no-mining",)),
            *(() if genesis_epoch is None else ("--timestamp", str(genesis_epoch))),
            *extra,
        ]
        self._child: Child | None = None
        self.accounts: tuple[Account, ...] = ()

    @property
    def url(self) -> str:
        """What to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a proxy."""
        return "127.0.0.1", self.port

    @property
    def pid(self) -> int:
        """Its process number.

        Raises:
            StartError: It does not run.
        """
        if self._child is None:
            raise StartError("Anvil does not run: start it first")
        return self._child.pid

    def start(self) -> Self:
        """Start it and wait until it answers. Doing it twice is doing it once.

        Raises:
            StartError: It did not start; with its own words.
        """
        if self._child is not None:
            return self
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / "anvil.json"
        config.unlink(missing_ok=True)
        state = ("--state", str(self._directory / _STATE_NAME)) if self._keeps_state else ()
        arguments = [str(self._binary), "--port", str(self.port), "--config-out", str(config), *state]
        child = Child([*arguments, *self._arguments], "Anvil")
        try:
            listening = child.wait_for_line(r"Listening on 127\.0\.0\.1:(\d+)", _START_S)
            self.port = int(listening[1])
            self._await_answer(child)
        except StartError:
            child.kill()
            raise
        self._child = child
        told = json.loads(config.read_text(encoding="utf-8"))
        self.accounts = tuple(
            Account(address, key) for address, key in zip(told["available_accounts"], told["private_keys"], strict=True)
        )
        config.unlink()  # the keys are worthless, and a key lying about is a bad habit all the same
        return self

    def stop(self) -> None:
        """End it; with a directory of its own its chain goes on at the next `start`, on the same port."""
        if self._child is not None:
            child, self._child = self._child, None
            child.stop()

    def kill(self) -> None:
        """End it with SIGKILL: what it had not written is lost."""
        if self._child is not None:
            child, self._child = self._child, None
            child.kill()

    def close(self) -> None:
        """End it for good and remove its temporary directory."""
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def rpc(self, method: str, *params: object) -> object:
        """Call a JSON-RPC method.

        Args:
            method: Its name.
            params: Its parameters, as JSON holds them (numbers in hexadecimal where the method asks so).

        Returns:
            The result.

        Raises:
            RpcError: The node refused; with its own words.
            OSError: The node does not answer.
        """
        return json_rpc.over_http(self.url, method, params)

    def block_number(self) -> int:
        """Give the head's number."""
        return int(str(self.rpc("eth_blockNumber")), 16)

    def balance(self, address: str) -> int:
        """Give an account's balance, wei."""
        return int(str(self.rpc("eth_getBalance", address, "latest")), 16)

    def nonce(self, address: str, block: str = "latest") -> int:
        """Give an account's next nonce."""
        return int(str(self.rpc("eth_getTransactionCount", address, block)), 16)

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks at once."""
        self.rpc("anvil_mine", hex(blocks))

    def set_automine(self, *, automine: bool) -> None:
        """Mine a block for each transaction, or let them wait."""
        self.rpc("evm_setAutomine", automine)

    def set_block_time(self, seconds: int) -> None:
        """Mine every so many seconds; 0 stops that."""
        self.rpc("evm_setIntervalMining", seconds)

    def reorganise(self, depth: int, transactions: Sequence[tuple[str, int]] = ()) -> None:
        """Replace the last blocks by others of the same number.

        Args:
            depth: How many blocks.
            transactions: Raw transactions to put into the new blocks, each with the block (0 the first) it goes in.
        """
        self.rpc("anvil_reorg", depth, [list(pair) for pair in transactions])

    def roll_back(self, depth: int) -> None:
        """Take the last blocks away, so that this node lags."""
        self.rpc("anvil_rollback", depth)

    def drop_transaction(self, transaction_hash: str) -> None:
        """Evict a waiting transaction from the mempool."""
        self.rpc("anvil_dropTransaction", transaction_hash)

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account a balance."""
        self.rpc("anvil_setBalance", address, hex(wei))

    def set_nonce(self, address: str, nonce: int) -> None:
        """Give an account a nonce, as somebody does who uses its key elsewhere."""
        self.rpc("anvil_setNonce", address, hex(nonce))

    def set_chain_id(self, chain_id: int) -> None:
        """Become another chain."""
        self.rpc("anvil_setChainId", chain_id)

    def set_next_base_fee(self, wei: int) -> None:
        """Set the next block's base fee, wei a gas."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def set_next_timestamp(self, epoch: int) -> None:
        """Set the next block's time, UTC seconds."""
        self.rpc("evm_setNextBlockTimestamp", epoch)

    def snapshot(self) -> str:
        """Remember the chain as it is, for `revert`."""
        return str(self.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back to a snapshot."""
        self.rpc("evm_revert", snapshot)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _await_answer(self, child: Child) -> None:
        for _ in range(_RPC_POLLS):
            try:
                self.rpc("eth_chainId")
            except OSError as error:
                if not child.running:
                    raise child.failure("it ended before it answered") from error
                time.sleep(_POLL_S)
            else:
                return
        raise child.failure("it listens and does not answer")
