"""The standing rule's section: the household's limits, set once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from agent.configuration.section import Section, Whole, no_truth
from agent.domain.amounts import typed_wei


def _whole_wei(value: object) -> object:
    """TOML's integers end at nine units of an 18-decimal currency, so a text is an amount, too."""
    if not isinstance(value, str):
        return no_truth(value)
    return typed_wei(value)


Money = Annotated[int, BeforeValidator(_whole_wei)]
# The contract's width of a price.
_MOST_PRICE = 2**80
# The contract's width of energy.
_MOST_ENERGY = 2**40
_MOST_MONEY = 2**128


class RuleSettings(Section):
    """What the agent offers, buys and redeems by itself after each interval."""

    enabled: bool = Field(default=False, description="true lets the agent trade by itself within these limits")
    self_first: bool = Field(
        default=True, description="true redeems own tokens against own consumption before anything is sold"
    )
    sell: bool = Field(default=False, description="true offers what is left above keep_wh")
    buy: bool = Field(default=False, description="true buys for consumption that own tokens do not cover")
    keep_wh: Whole = Field(default=0, ge=0, lt=_MOST_ENERGY, description="tokens that are never offered, Wh")
    sell_at_least_wei_per_kwh: Money | None = Field(
        default=None, ge=0, lt=_MOST_PRICE, description="the least that a kWh is offered for, wei"
    )
    buy_at_most_wei_per_kwh: Money | None = Field(
        default=None, ge=0, lt=_MOST_PRICE, description="the most that a kWh may cost, service cost included, wei"
    )
    order_least_wh: Whole = Field(
        default=100, ge=1, lt=_MOST_ENERGY, description="the least energy of an offer, a purchase or a redemption, Wh"
    )
    order_most_wh: Whole = Field(
        default=5_000, ge=1, lt=_MOST_ENERGY, description="the most energy of an offer or a purchase, Wh"
    )
    offer_day_most_wh: Whole = Field(
        default=50_000, ge=1, lt=_MOST_ENERGY, description="the most energy that is offered on one day (UTC), Wh"
    )
    buy_day_most_wh: Whole = Field(
        default=20_000, ge=1, lt=_MOST_ENERGY, description="the most energy that is bought on one day (UTC), Wh"
    )
    buy_day_most_wei: Money | None = Field(
        default=None, ge=0, lt=_MOST_MONEY, description="the most that is paid on one day (UTC), wei"
    )
    reserve_wei: Money | None = Field(
        default=None, ge=0, lt=_MOST_MONEY, description="money that stays in the account for fees, wei; 0 without fees"
    )
    order_lifetime_s: Whole = Field(
        default=14_400, ge=300, le=30 * 86_400, description="seconds that an offer stands, 300 to 2592000 (30 days)"
    )

    @field_validator("buy")
    @classmethod
    def _something_to_do(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's signature
        told = info.data
        if told.get("enabled") and not value and told.get("sell") is False and told.get("self_first") is False:
            raise ValueError(
                "is false, and so are self_first and sell: the rule would have nothing to do; set one of them to true,"
                " or rule.enabled to false"
            )
        if value and told.get("sell") and told.get("self_first") is False:
            raise ValueError(
                "is true beside sell while self_first is false: what is bought for your consumption would be offered"
                " again; set self_first to true, or one of the two to false"
            )
        return value

    @field_validator("sell_at_least_wei_per_kwh")
    @classmethod
    def _seller_names_a_price(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and info.data.get("enabled") and info.data.get("sell"):
            raise ValueError("is missing while rule.sell is true; the least that you want for a kWh, in wei, is right")
        return value

    @field_validator("buy_at_most_wei_per_kwh", "buy_day_most_wei", "reserve_wei")
    @classmethod
    def _buyer_names_bounds(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None and info.data.get("enabled") and info.data.get("buy"):
            what = cls.model_fields[info.field_name or ""].description
            raise ValueError(f"is missing while rule.buy is true; right is: {what}")
        return value

    @field_validator("order_most_wh", "offer_day_most_wh", "buy_day_most_wh")
    @classmethod
    def _holds_the_least(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("order_least_wh")
        if least is not None and value < least:
            raise ValueError(
                f"is {value}, but rule.order_least_wh is {least}, so that nothing would ever fit;"
                f" {least} or more is right"
            )
        return value
