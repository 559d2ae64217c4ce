"""The compiled contract, as ``build.mjs`` wrote it and CI compares it with the sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

ARTIFACT_PATH = Path(__file__).parent / "artifacts" / "EnergyMarket.json"


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable's place in the contract's storage.

    Attributes:
        slot: key of the 32-byte slot.
        offset: bytes from the slot's low end.
        size: bytes.
        type_name: Solidity's name of the type.
    """

    slot: int
    offset: int
    size: int
    type_name: str


@dataclass(frozen=True, slots=True)
class SlotField:
    """A field of the household's slot.

    Attributes:
        label: Solidity's name of it.
        offset: its lowest bit.
        bits: how many it has.
    """

    label: str
    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class DeclaredSlots:
    """Where slots that the market packs by hand lie and what is in them, as the compiler says.

    Attributes:
        base: the key of account 0's first slot; another account's is higher by the account times ``places``.
        places: how many slots an account has.
        fields: from the lowest bit up.
    """

    base: int
    places: int
    fields: tuple[SlotField, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract.

    Attributes:
        name: the contract's name.
        abi: its interface, as Solidity's JSON ABI.
        bytecode: what a deployment sends, before the constructor's arguments.
        deployed_bytecode: the code on the chain, zeros in place of immutables.
        immutables: start and length in bytes of each place that the constructor fills in.
        storage: the compiler-placed variables by name.
        household: the household's slot.
        orders: the slots of a seller's orders.
        compiler_version: full version of solc.
        sources: SHA-256 of each source file by path.
    """

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    deployed_bytecode: bytes
    immutables: tuple[tuple[int, int], ...]
    storage: Mapping[str, StoredVariable]
    household: DeclaredSlots
    orders: DeclaredSlots
    compiler_version: str
    sources: Mapping[str, str]

    def is_code(self, code: bytes) -> bool:
        """Whether code found on a chain is this contract's, whatever its immutables.

        Args:
            code: the runtime code, as ``eth_getCode`` gives it.
        """
        return len(code) == len(self.deployed_bytecode) and self._masked(code) == self._masked(self.deployed_bytecode)

    def household_slot(self, account: str) -> int:
        """Key of the storage slot that holds an account's last reading, rating and tokens.

        Args:
            account: 20 bytes as hex, with 0x.

        Raises:
            ArtifactError: ``account`` is not an address.
        """
        digits = account[2:] if account[:2] == "0x" else ""
        try:
            raw = bytes.fromhex(digits)
        except ValueError:
            raw = b""
        if len(raw) != 20 or len(digits) != 40:  # noqa: PLR2004 - an address has 20 bytes
            raise ArtifactError(f"account {account!r} is not an address: it would be 0x and 40 hex digits")
        return self.household.base + int.from_bytes(raw, "big")

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked)


def load_artifact(path: Path = ARTIFACT_PATH) -> Artifact:
    """Reads the compiled contract.

    Args:
        path: the artifact; the checked-in one unless a test says otherwise.

    Raises:
        ArtifactError: it is missing, not JSON, or lacks something.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror}); `node contracts/build.mjs` writes it"
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{path}: not JSON ({error}); `node contracts/build.mjs` writes it anew") from error
    try:
        return Artifact(
            name=str(raw["contractName"]),
            abi=tuple(dict(item) for item in raw["abi"]),
            bytecode=_code(raw, "bytecode"),
            deployed_bytecode=_code(raw, "deployedBytecode"),
            immutables=tuple(
                (int(place["start"]), int(place["length"])) for places in raw["immutableReferences"] for place in places
            ),
            storage={
                str(entry["label"]): StoredVariable(
                    int(entry["slot"]), int(entry["offset"]), int(entry["bytes"]), str(entry["type"])
                )
                for entry in raw["storageLayout"]
            },
            household=_declared(raw["householdSlot"]),
            orders=_declared(raw["orderSlot"]),
            compiler_version=str(raw["compiler"]["version"]),
            sources=dict(raw["sources"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not an artifact of this project ({type(error).__name__}: {error}); "
            "`node contracts/build.mjs` writes one"
        ) from error


def _declared(raw: Mapping[str, Any]) -> DeclaredSlots:
    fields = (SlotField(str(field["label"]), int(field["offset"]), int(field["bits"])) for field in raw["fields"])
    return DeclaredSlots(int(raw["base"], 16), int(raw["places"]), tuple(fields))


def _code(raw: Mapping[str, Any], key: str) -> bytes:
    text = raw[key]
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError(f"{key} would be hex that begins with 0x")
    return bytes.fromhex(text[2:])
