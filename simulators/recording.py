"""Records what a full node says of a few blocks of the market, for tests: `python -m simulators.recording FOLDER`.

Nothing in a recording depends on when or where it was made, but on Anvil's version.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from simulators.bench.market import GasMarket, House
from simulators.chain import Anvil

HARDFORKS: Final = ("london", "shanghai", "cancun", "prague")
"""One recording for each form that a header has had, as far as Anvil makes it."""

_GENESIS: Final = 1_782_104_400
_HOUSEHOLDS: Final = 12
_REGISTERS: Final = (1_234_567, 2_345_678)
_GAS: Final = 600_000
_PRICE_WEI: Final = 10**11
# Stores nothing, returns one byte of code.
_SMALL_CONTRACT: Final = "0x6001600081600a8239f300"
_STRANGER: Final = "0x00000000000000000000000000000000000be4c4"


def record(hardfork: str) -> dict[str, Any]:
    """What Anvil says of three blocks: one of many transactions, an empty one, and one of a single transaction.

    Args:
        hardfork: The rules of the chain.

    Raises:
        StartError: Anvil is missing or did not start.
        RpcError: It refused a question.
    """
    with Anvil(genesis_epoch=_GENESIS, hardfork=hardfork) as chain:
        market = GasMarket(chain, _GENESIS + 60)
        houses = [market.house(number, *_REGISTERS)[0] for number in range(_HOUSEHOLDS)]
        market.pass_time()
        market.report(houses[0], [houses[0].read(311)])
        chain.set_automine(automine=False)
        market.pass_time()
        first = chain.block_number() + 1
        sent = [chain.rpc("eth_sendRawTransaction", raw) for raw in _mixed(chain, market, houses)]
        chain.set_next_timestamp(market.now + 1)
        chain.mine()
        chain.set_next_timestamp(market.now + 2)
        chain.mine()
        sent.append(chain.rpc("eth_sendRawTransaction", _signed(chain, market, houses[3].account, _report(houses[3]))))
        chain.set_next_timestamp(market.now + 3)
        chain.mine()
        blocks = [_block(chain, number) for number in range(first, first + 3)]
        household, stranger = (_state(chain, market.contract, who, first + 2) for who in (houses[3].address, _STRANGER))
        return {
            "node": str(chain.rpc("web3_clientVersion")),
            "hardfork": hardfork,
            "chainId": chain.chain_id,
            "genesis": _block(chain, 0)["block"]["hash"],
            "contract": market.contract,
            "household": houses[3].address,
            "produced": houses[3].produced_wh,
            "consumed": houses[3].consumed_wh,
            "takenAt": houses[3].taken_at,
            "sent": sent,
            "blocks": blocks,
            "state": household,
            "stranger": stranger,
            "strangerAddress": _STRANGER,
        }


def _report(house: House) -> tuple[str, tuple[object, ...]]:
    return "report", ([house.read(311)],)


def _mixed(chain: Anvil, market: GasMarket, houses: Sequence[House]) -> list[str]:
    """Signed transactions of every type that a household's wallet makes, one that reverts, and one that creates."""
    plain = houses[5].account
    made = [
        _signed(chain, market, houses[number].account, _report(houses[number]), kind=kind)
        for number, kind in ((1, 2), (2, 0), (3, 1), (4, 2))
    ]
    again = ("report", ([_spent(houses[0])],))
    made.append(_signed(chain, market, houses[0].account, again, kind=0))
    transfer = {"to": to_checksum_address(_STRANGER), "value": 12_345, "gas": _GAS, "gasPrice": _PRICE_WEI, "nonce": 0}
    created = {"data": _SMALL_CONTRACT, "value": 0, "gas": _GAS, "gasPrice": _PRICE_WEI, "nonce": 1}
    made.append(_raw(plain, transfer))  # a legacy transaction that names no chain
    made.append(_raw(plain, {**created, "chainId": chain.chain_id}))
    return made


def _spent(house: House) -> int:
    """The word of the reading that the household reported already."""
    word = house.consumed_wh | house.produced_wh << 40 | house.taken_at << 80
    return word | house.sequence << 112 | house.epoch << 136


def _signed(
    chain: Anvil, market: GasMarket, account: LocalAccount, call: tuple[str, tuple[object, ...]], *, kind: int = 0
) -> str:
    function, arguments = call
    told: dict[str, Any] = {
        "chainId": chain.chain_id,
        "nonce": chain.nonce(account.address),
        "to": market.contract,
        "value": 0,
        "gas": _GAS,
        "data": market.data(function, *arguments),
    }
    if kind == 0:
        told["gasPrice"] = _PRICE_WEI
    else:
        slot = "0x" + ((1 << 160) + int(account.address, 16)).to_bytes(32, "big").hex()
        told |= {"type": kind, "accessList": [{"address": market.contract, "storageKeys": [slot]}]}
        told |= {"gasPrice": _PRICE_WEI} if kind == 1 else {"maxFeePerGas": _PRICE_WEI, "maxPriorityFeePerGas": 7}
    return _raw(account, told)


def _raw(account: LocalAccount, told: dict[str, Any]) -> str:
    signed: bytes = account.sign_transaction(told).raw_transaction
    return "0x" + signed.hex()


def _block(chain: Anvil, number: int) -> dict[str, Any]:
    block: Any = chain.rpc("eth_getBlockByNumber", hex(number), True)  # noqa: FBT003 - JSON-RPC's own
    receipts = [chain.rpc("eth_getTransactionReceipt", one["hash"]) for one in block["transactions"]]
    return {"block": block, "receipts": receipts}


def _state(chain: Anvil, contract: str, household: str, number: int) -> dict[str, Any]:
    slot = "0x" + ((1 << 160) + int(household, 16)).to_bytes(32, "big").hex()
    return {
        "account": chain.rpc("eth_getProof", household, [], hex(number)),
        "contract": chain.rpc("eth_getProof", contract, [slot], hex(number)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write one file for each hardfork.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m simulators.recording", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for hardfork in HARDFORKS:
        file = folder / f"anvil-{hardfork}.json"
        file.write_text(json.dumps(record(hardfork), separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
        print(f"{file}: {file.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
