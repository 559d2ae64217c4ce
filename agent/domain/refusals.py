"""What it means for a person that the contract refuses something of the household's, and what he can do."""

from __future__ import annotations

from collections.abc import Mapping

from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall
from agent.domain.outbox import Kind

# By the contract's error.
_MEANINGS = {
    "NothingAsked": "no energy is named; at least 0.001 kWh is right",
    "PriceOutsideTariff": "the price is outside the tariff band, which was changed meanwhile; 'orders' shows it",
    "NumberNotRising": "this or a later number was given to an order already, perhaps by a restored copy of this"
    " agent's journal; offer it again, and it gets a new number",
    "PlaceTaken": "an order of yours that is still open lies where this one would; offer it again, and it gets a new"
    " number",
    "OrderGone": "the order is sold or was taken back; 'orders' shows those that are open",
    "OrderExpired": "the order's time is over, by the chain's clock; 'orders' shows those that are open",
    "PriceChanged": "the order has another price than you agreed to; look at it with 'orders' and decide again",
    "NotEnoughLeft": "somebody was faster, and less is left of the order; 'orders' shows how much",
    "OwnOrder": "it is your own order; take it back with 'sell --cancel NUMBER'",
    "SellerNotActive": "the registration office has suspended the seller; buy from somebody else",
    "TokensExceedSlot": "the household would hold more energy than the contract can count; sell or redeem first",
    "Underpaid": "the service cost rose meanwhile; buy again, and the new price is shown first",
    "PaymentFailed": "the seller's account, or the distribution company's, does not take the money; tell the company,"
    " and buy from somebody else",
    "ExceedsConsumption": "more than the household's own consumption that is still to be redeemed; 'wallet' shows how"
    " much that is",
    "ERC20InsufficientBalance": "the household holds fewer energy tokens; 'wallet' shows how many",
}
_BY_KIND = {
    Kind.OFFER: "the energy was spent otherwise, or the tariff was changed meanwhile; 'wallet' shows what you hold",
    Kind.CANCEL: "the order was sold or taken back meanwhile; 'orders --mine' shows what is left",
    Kind.BUY: "somebody was faster, or the order ended; your money is still yours, less the fee. 'orders' shows what is"
    " left",
    Kind.REDEEM: "the tokens were spent otherwise; 'wallet' shows what you hold",
}
_READINGS = "run 'prosumer-agent readings' and give the refused ones to the distribution company"


def told_refusal(kind: Kind, error: str, facts: Mapping[str, object]) -> str:
    """The contract's refusal in words, with the error's name and numbers for who looks further.

    Args:
        kind: of what is refused.
        error: the contract's error.
        facts: its arguments by name.
    """
    named = f"{error}({', '.join(f'{name}={value}' for name, value in facts.items())})"
    return f"the contract refuses this {kind}: {_MEANINGS.get(error, 'see the contract for what it means')} [{named}]"


def advice(kind: Kind) -> str:
    """What a person can do when the chain has refused something of this kind."""
    return _BY_KIND.get(kind, _READINGS)


def order_facts(call: MarketCall | None) -> dict[str, object]:
    """What names a refused call in the log: Wh, and wei for each kWh."""
    match call:
        case None:
            return {}
        case OfferCall():
            return {"order": call.number, "energy_wh": call.energy_wh, "price": call.price}
        case CancelCall():
            return {"order": call.number}
        case BuyCall():
            return {"order": f"{call.seller}/{call.number}", "energy_wh": call.energy_wh, "price": call.price}
        case _:
            return {"energy_wh": call.energy_wh}
