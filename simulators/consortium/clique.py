"""A Clique chain's genesis (EIP-225) and the keys of those who seal it.

The newest rules that Clique knows are London's, so the genesis names none later.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from eth_account import Account
from eth_keys.datatypes import PrivateKey

from simulators.private import write_private

VANITY: Final = bytes(32)
"""What Clique leaves in front of a checkpoint's signers for whoever seals it."""

SEAL_BYTES: Final = 65
_GAS_LIMIT: Final = 30_000_000
_BASE_FEE_WEI: Final = 10**9
# Blocks whose rules begin with the first one.
_FORKS: Final = (
    *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul"),
    *("berlin", "london"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What one full node is known by; the keys themselves are in its files alone.

    Attributes:
        address: The account that it seals with, 0x and 40 lower-case digits.
        public_key: By which its peers know it, 128 hexadecimal digits.
        keystore: File of the sealing key.
        passphrase: File of the keystore's passphrase.
        node_key: File of the key to its peers.
    """

    address: str
    public_key: str
    keystore: Path
    passphrase: Path
    node_key: Path

    @classmethod
    def make(cls, directory: Path) -> Self:
        """Make new keys in a folder, which its owner alone may read."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        account, node_key = Account.create(), PrivateKey(secrets.token_bytes(32))
        passphrase = secrets.token_urlsafe()
        # The node unlocks it at each start: geth's own scrypt would take a second and 256 MiB each time.
        encrypted = Account.encrypt(account.key, passphrase, kdf="pbkdf2", iterations=1000)
        keystore = directory / "keystore" / f"{account.address[2:].lower()}.json"
        keystore.parent.mkdir(mode=0o700, exist_ok=True)
        made = cls(
            address=account.address.lower(),
            public_key=node_key.public_key.to_bytes().hex(),
            keystore=keystore,
            passphrase=directory / "passphrase",
            node_key=directory / "nodekey",
        )
        write_private(made.keystore, json.dumps(encrypted))
        write_private(made.passphrase, passphrase + "\n")
        write_private(made.node_key, node_key.to_bytes().hex())
        return made


def extra_data(signers: Iterable[str]) -> str:
    """What the genesis says of who may seal: vanity, their addresses ascending, and no seal, as 0x hex."""
    listed = b"".join(sorted(bytes.fromhex(address[2:]) for address in signers))
    return "0x" + (VANITY + listed + bytes(SEAL_BYTES)).hex()


def genesis(
    chain_id: int, *, block_s: int, epoch: int, signers: Iterable[str], balances: Mapping[str, int], timestamp: int
) -> dict[str, Any]:
    """The genesis file, as geth reads it.

    Args:
        chain_id: The chain's number.
        block_s: Seconds between blocks.
        epoch: Blocks between checkpoints.
        signers: Who may seal at first, addresses.
        balances: What accounts hold at first, wei.
        timestamp: UTC epoch seconds of block 0; nobody seals block 1 earlier than a period after it.
    """
    return {
        "config": {
            "chainId": chain_id,
            **{f"{fork}Block": 0 for fork in _FORKS},
            "clique": {"period": block_s, "epoch": epoch},
        },
        "timestamp": hex(timestamp),
        "difficulty": "0x1",
        "gasLimit": hex(_GAS_LIMIT),
        "baseFeePerGas": hex(_BASE_FEE_WEI),
        "extraData": extra_data(signers),
        "alloc": {address: {"balance": hex(wei)} for address, wei in balances.items()},
    }
