"""What a full node learns from what it is asked: everything that is neither the household's own nor the order list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rlp
from eth_abi.abi import decode
from eth_account import Account as Wallet
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic, function_abi_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

Request = tuple[str, list[Any]]

# Of the market as a whole, with no subject.
_OF_ALL = frozenset({"parameters", "paused", "settlement"})
# A question about the account that it names first.
_OF_ONE = frozenset({"household", "redeemable"})
# What the caller does to itself.
_BY_ONE = frozenset({"report", "offer", "cancel", "redeem"})
_OF_AN_ORDER = frozenset({"order", "buy"})
_ORDER_LIST = frozenset({"Offered", "Cancelled", "Traded"})
_FOR_EVERYBODY = frozenset({"TariffSet", "ServiceCostSet"})
_NEWEST = frozenset({"latest", "pending"})


class Eavesdropper:
    """Listens to one household.

    Args:
        account: the household's.
        contract: the market.
        abi: the market's.
        order_list: what stands, or stood, in the order list: seller and number.
    """

    def __init__(self, account: str, contract: str, abi: Sequence[Any], order_list: set[tuple[str, int]]) -> None:
        self._account, self._contract = account.lower(), contract.lower()
        self._topic = "0x" + bytes.fromhex(account[2:]).rjust(32, b"\0").hex()
        self._slot = (1 << 160) + int(account, 16)
        self._order_list = order_list
        self._functions: dict[bytes, Mapping[str, Any]] = {
            bytes(function_abi_to_4byte_selector(one)): one for one in abi if one["type"] == "function"
        }
        self._events = {
            "0x" + bytes(event_abi_to_log_topic(one)).hex(): one["name"]
            for one in abi
            if one["type"] == "event" and not one.get("anonymous")
        }
        self._own_hashes: set[str] = set()
        self.heard: list[str] = []

    def strange(self, requests: Sequence[Request]) -> list[str]:
        """The requests that name somebody or something else, in words; those heard are counted in ``heard``."""
        found = []
        for method, params in requests:
            check: Callable[..., bool] | None = getattr(self, f"_{method}", None)
            if check is None or not check(*params):
                found.append(f"{method} {params}")
        return found

    def _nothing(self) -> bool:
        return True

    _eth_chainId = _eth_blockNumber = _eth_gasPrice = _eth_maxPriorityFeePerGas = _nothing  # noqa: N815 - JSON-RPC's

    def _a_block(self, which: str, full: bool = False) -> bool:
        """A block as a whole, by number or hash."""
        return isinstance(full, bool) and (which in _NEWEST or int(which, 16) >= 0)

    _eth_getBlockByNumber = _eth_getBlockByHash = _eth_getBlockReceipts = _a_block  # noqa: N815 - JSON-RPC's
    _eth_getHeaderByNumber = _a_block  # noqa: N815 - as above

    def _eth_getCode(self, address: str, _at: str) -> bool:  # noqa: N802 - JSON-RPC's, as below
        return address.lower() == self._contract

    def _of_own_account(self, address: str, _at: str) -> bool:
        return address.lower() == self._account

    _eth_getTransactionCount = _eth_getBalance = _of_own_account  # noqa: N815 - JSON-RPC's

    def _eth_getProof(self, address: str, slots: list[str], _at: str) -> bool:  # noqa: N802 - as above
        if address.lower() == self._contract:
            return [int(slot, 16) for slot in slots] == [self._slot]
        return address.lower() == self._account and slots == []

    def _of_own_transaction(self, tx_hash: str) -> bool:
        return tx_hash in self._own_hashes

    _eth_getTransactionReceipt = _eth_getTransactionByHash = _of_own_transaction  # noqa: N815 - JSON-RPC's

    def knows(self, tx_hash: str) -> None:
        """It is the household's own, sent before."""
        self._own_hashes.add(tx_hash)

    def _eth_sendRawTransaction(self, raw: str) -> bool:  # noqa: N802 - as above
        signed = bytes.fromhex(raw[2:])
        self._own_hashes.add("0x" + keccak(signed).hex())
        to, _value, data = rlp.decode(signed[1:])[5:8]
        self.heard.append("sent")
        return Wallet.recover_transaction(raw).lower() == self._account and self._told("0x" + to.hex(), data)

    def _eth_call(self, call: Mapping[str, str], _at: str) -> bool:
        return call["from"].lower() == self._account and self._told(call["to"], bytes.fromhex(call["data"][2:]))

    def _eth_estimateGas(self, call: Mapping[str, str]) -> bool:  # noqa: N802 - as above
        return self._eth_call(call, "latest")

    def _told(self, to: str, data: bytes) -> bool:
        if to.lower() == self._account:
            return data == b""  # what safely happens twice: the first nonce, and one that is filled
        if to.lower() != self._contract or data[:4] not in self._functions:
            return False
        function = self._functions[data[:4]]
        name = function["name"]
        self.heard.append(name)
        values = decode([collapse_if_tuple(one) for one in function["inputs"]], data[4:])
        if name in _OF_AN_ORDER:
            seller, number = to_checksum_address(values[0]), values[1]
            return seller.lower() == self._account or (seller, number) in self._order_list
        return name in _OF_ALL | _BY_ONE or (name in _OF_ONE and values[0].lower() == self._account)

    def _eth_getLogs(self, asked: Mapping[str, Any]) -> bool:  # noqa: N802 - as above
        self.heard.append("logs")
        topics: list[list[str] | None] = asked["topics"]
        if asked["address"].lower() != self._contract or not topics:
            return False
        if any(some == [self._topic] for some in topics[1:]):
            return True
        public = {topic for topic, name in self._events.items() if name in _ORDER_LIST | _FOR_EVERYBODY}
        return topics[0] is not None and set(topics[0]) <= public | {self._topic}
