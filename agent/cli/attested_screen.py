"""How far the household's ledger is proven, on a terminal and for a program."""

from __future__ import annotations

from agent.cli import table
from agent.domain.attested import Attested


def lacks(attested: Attested) -> bool:
    """Whether something is not proven."""
    return bool(attested.told) or attested.sales_to is None or bool(attested.wrong)


def told_proven(attested: Attested) -> str:
    """How far it is proven, in one line."""
    told = len(attested.told)
    events = f"{told} event(s) are only what full nodes say" if told else "every event is proven"
    if attested.wrong:
        return f"NOT PROVEN: {attested.wrong}; {events}"
    if attested.sales_to is None:
        return f"{events}; that no sale is missing is not proven yet"
    return f"{events}; that no sale of your orders is missing is proven up to block {attested.sales_to}"


def proven_facts(attested: Attested) -> dict[str, object]:
    """The same for a program."""
    told = [table.plain(place) for place in sorted(attested.told)]
    return {"toldOnly": told, "salesTo": attested.sales_to, "wrong": attested.wrong or None}
