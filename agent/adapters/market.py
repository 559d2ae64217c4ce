"""The market contract's words in bytes: calls encoded, answers decoded, reverts turned into the domain's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from agent.domain.errors import BadRequest, NodeUnavailable, NotYet, Rejected
from agent.domain.market import HouseholdState, Parameters, Settlement
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.orders import Order

_SELECTOR_BYTES = 4
# Solidity's own two errors, which stand in no contract's ABI.
_BUILT_IN = (
    {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)
_METERS = ("production", "consumption")

# Errors that pass by themselves or by what a person does at the distribution company: the same call may succeed later.
_PASSING: dict[str, tuple[Callable[[Mapping[str, object]], bool], str]] = {
    "MarketPaused": (lambda _facts: True, "the distribution agent has paused the market"),
    "HouseholdNotActive": (
        lambda _facts: True,
        "the registration office has not enrolled this account, or has suspended it",
    ),
    # Of orders, only this one: what else refuses one (gone, expired, underpaid, more than was consumed, ...) is for
    # whoever asked for it to see, and not to be waited for while readings queue behind it.
    "Reentered": (lambda _facts: True, "the market was asked while it was paying for a trade"),
    "TakenInFuture": (
        lambda _facts: True,
        "the reading is later than the chain's clock: this clock is fast, or the chain is slow",
    ),
    "UnexpectedEpoch": (
        # A meter was swapped here and the office has not entered it yet; an epoch that is over never comes back.
        lambda facts: _number(facts.get("got")) > _number(facts.get("expected")),
        "the registration office has not entered the replaced meter yet",
    ),
}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class _Item:
    """One function or error of the ABI."""

    name: str
    selector: bytes
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, abi: Mapping[str, Any]) -> _Item:
        inputs, outputs = tuple(abi.get("inputs", ())), tuple(abi.get("outputs", ()))
        signature = f"{abi['name']}({','.join(_types(inputs))})"
        return cls(abi["name"], keccak(text=signature)[:_SELECTOR_BYTES], inputs, outputs)


def _types(components: Sequence[Mapping[str, Any]]) -> list[str]:
    return [collapse_if_tuple(dict(component)) for component in components]


class Market:
    """The market contract's codec.

    Args:
        abi: of the contract, as the artifact has it.
    """

    def __init__(self, abi: Sequence[Mapping[str, Any]]) -> None:
        self._functions = {item["name"]: _Item.of(item) for item in abi if item["type"] == "function"}
        self._selectors = {item.selector: item for item in self._functions.values()}
        errors = [_Item.of(item) for item in (*_BUILT_IN, *abi) if item["type"] == "error"]
        self._errors = {error.selector: error for error in errors}
        constructor = next((item for item in abi if item["type"] == "constructor"), {})
        self._constructor = tuple(constructor.get("inputs", ()))

    def call(self, function: str, *arguments: object) -> bytes:
        """Calldata of any function.

        Args:
            function: its name.
            arguments: in the ABI's order; a struct is a tuple.

        Raises:
            BadRequest: an argument does not fit its type.
        """
        item = self._functions[function]
        return item.selector + _encoded(item.inputs, arguments, function)

    def creation(self, bytecode: bytes, *arguments: object) -> bytes:
        """The data of a transaction that deploys the contract.

        Raises:
            BadRequest: an argument does not fit its type.
        """
        return bytecode + _encoded(self._constructor, arguments, "constructor")

    def report(self, words: Sequence[int]) -> bytes:
        """Calldata of ``report``.

        Args:
            words: packed readings, oldest first (``Reading.packed``).
        """
        return self.call("report", list(words))

    def encoded(self, call: MarketCall) -> bytes:
        """Calldata of what a household asks of the market.

        Raises:
            BadRequest: an argument does not fit its type.
        """
        match call:
            case OfferCall(number, energy_wh, price, expires_at):
                return self.call("offer", number, energy_wh, price, expires_at)
            case CancelCall(number):
                return self.call("cancel", number)
            case BuyCall(seller, number, energy_wh, price):
                return self.call("buy", seller, number, energy_wh, price)
            case RedeemCall(energy_wh):
                return self.call("redeem", energy_wh)

    def understood(self, data: bytes) -> MarketCall | None:
        """What calldata asks of the market; None if it is something else, or not whole."""
        for name, made in _CALLS.items():
            item = self._functions.get(name)
            if item is None or data[:_SELECTOR_BYTES] != item.selector:
                continue
            try:
                values = decode(_types(item.inputs), data[_SELECTOR_BYTES:])
            except (DecodingError, OverflowError, ValueError):
                return None
            return made(*values)
        return None

    def called(self, data: bytes) -> tuple[str, dict[str, object]] | None:
        """Which function calldata calls, and with what, by name; None if it is none of the contract's, or not whole.

        Bytes are ``0x`` hex, addresses checksummed, a struct is a dictionary, a list a list.
        """
        item = self._selectors.get(data[:_SELECTOR_BYTES])
        if item is None:
            return None
        try:
            values = decode(_types(item.inputs), data[_SELECTOR_BYTES:])
        except (DecodingError, OverflowError, ValueError):
            return None
        return item.name, _shown(item.inputs, values)

    def read(self, function: str, data: bytes) -> dict[str, Any]:
        """What a function returned, by name; a single returned struct is opened.

        Raises:
            NodeUnavailable: the bytes are not what the function returns.
        """
        outputs = self._functions[function].outputs
        values = _decoded(outputs, data, f"the contract's {function}()")
        if len(outputs) == 1 and outputs[0].get("components"):
            return _named(outputs[0]["components"], values[0])
        names = [output["name"] or str(index) for index, output in enumerate(outputs)]
        return dict(zip(names, values, strict=True))

    def read_household(self, data: bytes) -> HouseholdState:
        """What ``household(address)`` returned.

        Raises:
            NodeUnavailable: the bytes are not what the function returns.
        """
        told = self.read("household", data)
        return HouseholdState(
            enrolled=told["enrolled"],
            active=told["active"],
            epoch=told["epoch"],
            sequence=told["sequence"],
            taken_at=told["takenAt"],
            produced_wh=told["producedWh"],
            consumed_wh=told["consumedWh"],
            tokens_wh=told["tokensWh"],
            rated_power_w=told["record"]["ratedPowerW"],
        )

    def read_order(self, data: bytes) -> Order:
        """What ``order(address, uint40)`` returned.

        Raises:
            NodeUnavailable: the bytes are not what the function returns.
        """
        told = self.read("order", data)
        seller = str(to_checksum_address(told["seller"]))
        return Order(seller, told["number"], told["energyWh"], told["priceWeiPerKWh"], told["expiresAt"])

    def read_parameters(self, parameters: bytes, paused: bytes) -> Parameters:
        """What ``parameters()`` and ``paused()`` returned.

        Raises:
            NodeUnavailable: the bytes are not what the functions return.
        """
        told = self.read("parameters", parameters)
        (stopped,) = self.read("paused", paused).values()
        if told["reportingPeriodS"] < 1:
            raise NodeUnavailable("the contract's reporting period is 0 s, which it never allows")
        return Parameters(
            reporting_period_s=told["reportingPeriodS"],
            service_cost=told["serviceCostWeiPerKWh"],
            feed_in_tariff=told["feedInWeiPerKWh"],
            retail_tariff=told["retailWeiPerKWh"],
            paused=stopped,
        )

    def read_personal_data_hash(self, data: bytes) -> bytes:
        """The hash of personal data in what ``household(address)`` returned, 32 bytes.

        Raises:
            NodeUnavailable: the bytes are not what the function returns.
        """
        return bytes(self.read("household", data)["record"]["personalDataHash"])

    def read_settlement(self, data: bytes) -> Settlement:
        """What ``settlement()`` returned.

        Raises:
            NodeUnavailable: the bytes are not what the function returns.
        """
        told = self.read("settlement", data)
        return Settlement(told["name"], told["symbol"], told["decimals"])

    def judge(self, reverted: bytes) -> Rejected | NotYet:
        """What a revert means.

        Args:
            reverted: the bytes that the contract reverted with; may be empty.

        Returns:
            ``NotYet`` if the same call may succeed later, else ``Rejected`` with the error's name and facts.
        """
        item = self._errors.get(reverted[:_SELECTOR_BYTES])
        if item is None:
            return Rejected("unknown", {"data": "0x" + reverted[:64].hex()})
        try:
            values = decode(_types(item.inputs), reverted[_SELECTOR_BYTES:])
        except (DecodingError, OverflowError, ValueError):
            return Rejected(item.name, {"data": "0x" + reverted[:64].hex()})
        facts = {part["name"]: _plain(part, value) for part, value in zip(item.inputs, values, strict=True)}
        passes, why = _PASSING.get(item.name, (None, ""))
        if passes is not None and passes(facts):
            told = ", ".join(f"{name}={value}" for name, value in facts.items())
            return NotYet(f"{why}: {item.name}({told})")
        return Rejected(item.name, facts)


def _buy(seller: str, number: int, energy_wh: int, price: int) -> BuyCall:
    return BuyCall(str(to_checksum_address(seller)), number, energy_wh, price)


# By the contract's function.
_CALLS: Mapping[str, Callable[..., MarketCall]] = {
    "offer": OfferCall,
    "cancel": CancelCall,
    "buy": _buy,
    "redeem": RedeemCall,
}


def _encoded(inputs: Sequence[Mapping[str, Any]], arguments: Sequence[object], name: str) -> bytes:
    try:
        return encode(_types(inputs), arguments)
    except (EncodingError, TypeError, ValueError) as error:
        raise BadRequest(f"{name}: an argument does not fit the contract's type ({error})") from error


def _decoded(outputs: Sequence[Mapping[str, Any]], data: bytes, what: str) -> tuple[Any, ...]:
    try:
        return decode(_types(outputs), data)
    except (DecodingError, OverflowError, ValueError) as error:
        raise NodeUnavailable(f"{what} returned {len(data)} bytes that do not decode") from error


def _named(components: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> dict[str, Any]:
    return {
        part["name"]: _named(part["components"], value) if part["type"] == "tuple" else value
        for part, value in zip(components, values, strict=True)
    }


def _shown(parts: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> dict[str, object]:
    return {part["name"]: _one_shown(part, value) for part, value in zip(parts, values, strict=True)}


def _one_shown(part: Mapping[str, Any], value: Any) -> object:  # noqa: ANN401 - the type is the contract's
    kind = str(part["type"])
    if kind.endswith("]"):
        return [_one_shown({**part, "type": kind[: kind.rindex("[")]}, one) for one in value]
    if kind == "tuple":
        return _shown(part["components"], value)
    return str(to_checksum_address(value)) if kind == "address" else _plain(part, value)


def _plain(part: Mapping[str, Any], value: object) -> object:
    """A fact as a person reads it."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if part.get("internalType") == "enum Meter" and _number(value) < len(_METERS):
        return _METERS[_number(value)]
    return value
