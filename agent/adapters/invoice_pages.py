"""The printed invoice: one self-contained page of HTML, made for A4, without scripts and without remote parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.adapters.invoice_words import Tongue
from agent.domain.attested import Attested
from agent.domain.invoice_document import canonical
from agent.domain.invoices import Invoice, RegisterPoint, TradeLine
from agent.domain.market_events import Place

_TEMPLATE = "invoice.html"


@dataclass(frozen=True, slots=True)
class Heading:
    """Who issues an invoice to whom, as far as the chain does not say it.

    Attributes:
        own: whether it is the household's own calculation.
        attested: how far it is proven; None where nothing is said of that.
        issuer: the distribution company's name; empty for none.
        names: names of accounts, by checksummed address; an account without one is shown by its address alone.
    """

    own: bool = False
    attested: Attested | None = None
    issuer: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


def page(invoice: Invoice, tongue: Tongue, heading: Heading) -> str:
    """The invoice for a person.

    Args:
        invoice: what to show.
        tongue: the language.
        heading: names.
    """
    # Jinja2's own check of `autoescape` is by the file's name; here all is escaped, whatever it is called.
    rooms = Environment(
        loader=PackageLoader("agent.adapters", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = _Shown(invoice, tongue, heading.attested)
    due = tongue.money(invoice.consumption_wei, -invoice.redeemed_wei, abs(invoice.due_wei))
    return rooms.get_template(_TEMPLATE).render(
        say=tongue.word,
        tongue=tongue,
        invoice=invoice,
        heading=heading,
        title=tongue.word("own_title" if heading.own else "title"),
        due=dict(zip(("consumption", "redeemed", "amount"), due, strict=True)),
        registers=shown.registers(),
        consumption=shown.consumption(),
        redemptions=shown.redemptions(),
        trades={"sold": shown.trades("sold", invoice.sold), "bought": shown.trades("bought", invoice.bought)},
        open_note=shown.open_note(),
        proven_notes=shown.proven_notes(),
        fingerprint=hashlib.sha256(canonical(invoice)).hexdigest(),
        # Last, since the lines above fill them.
        totals=shown.totals,
        evidence=shown.evidence,
        short=short,
    )


def short(name: str) -> str:
    """An account or a transaction by its first and last digits."""
    return f"{name[:8]}…{name[-6:]}"


@dataclass(frozen=True, slots=True)
class _Evidence:
    anchor: int
    number: str
    what: str
    block: str
    place: Place


class _Shown:
    """Lines as cells, their evidence numbered in the order in which it is first named."""

    def __init__(self, invoice: Invoice, tongue: Tongue, attested: Attested | None) -> None:
        self._invoice = invoice
        self._attested = attested
        self._tongue = tongue
        self._numbers: dict[Place, int] = {}
        self.evidence: list[_Evidence] = []
        self.totals: dict[str, str] = {}

    def open_note(self) -> str:
        """Why the invoice may still change; empty if it may not."""
        return "" if self._invoice.as_of is None else self._tongue.open_note(self._invoice.as_of)

    def proven_notes(self) -> list[str]:
        """How far the invoice is proven, a sentence each; nothing where nothing is said of that."""
        attested, tongue = self._attested, self._tongue
        if attested is None:
            return []
        told, to = len(attested.told), attested.sales_to
        notes = [tongue.word("proven_some", count=tongue.count(told)) if told else tongue.word("proven_all")]
        if attested.wrong:
            notes.append(tongue.word("proven_wrong", problem=attested.wrong))
        elif to is None:
            notes.append(tongue.word("sales_unknown"))
        else:
            notes.append(tongue.word("sales_proven", block=tongue.digits(str(to))))
        return notes

    def registers(self) -> list[dict[str, object]]:
        """Two rows an epoch: production and consumption."""
        return [
            {
                "epoch": self._tongue.digits(str(entry.epoch)),
                "meter": self._tongue.word(meter),
                "opened": self._tongue.moment(entry.opening.taken_at),
                "closed": self._tongue.moment(entry.closing.taken_at),
                "opening": self._tongue.kwh(opening),
                "closing": self._tongue.kwh(closing),
                "difference": self._tongue.kwh(closing - opening),
                "refs": self._points(entry.opening, entry.closing),
            }
            for entry in self._invoice.registers
            for meter, opening, closing in (
                ("production", entry.opening.produced_wh, entry.closing.produced_wh),
                ("consumption", entry.opening.consumed_wh, entry.closing.consumed_wh),
            )
        ]

    def consumption(self) -> list[dict[str, object]]:
        """A row for each tariff."""
        lines = self._invoice.consumption
        amounts = self._column("consumption", [line.amount_wei for line in lines])
        prices = self._tongue.money(*(line.price for line in lines))
        return [
            {
                "first": self._tongue.moment(line.first.taken_at),
                "last": self._tongue.moment(line.last.taken_at),
                "readings": self._tongue.count(line.readings),
                "energy": self._tongue.kwh(line.energy_wh),
                "price": price,
                "amount": amount,
                "refs": [self._ref("event_tariff", line.tariff), *self._points(line.first, line.last)],
            }
            for line, price, amount in zip(lines, prices, amounts, strict=True)
        ]

    def redemptions(self) -> list[dict[str, object]]:
        """A row for each redemption."""
        lines = self._invoice.redemptions
        amounts = self._column("redemptions", [line.amount_wei for line in lines])
        prices = self._tongue.money(*(line.price for line in lines))
        return [
            {
                "when": self._tongue.moment(line.place.at),
                "energy": self._tongue.kwh(line.energy_wh),
                "price": price,
                "amount": amount,
                "refs": [self._ref("event_redemption", line.place), self._ref("event_tariff", line.tariff)],
            }
            for line, price, amount in zip(lines, prices, amounts, strict=True)
        ]

    def trades(self, side: str, lines: tuple[TradeLine, ...]) -> list[dict[str, object]]:
        """A row for each trade."""
        own = self._invoice.household
        prices = self._column(side, [line.trade.price_wei for line in lines])
        services = self._column("service", [line.trade.service_cost_wei for line in lines])
        return [
            {
                "id": self._tongue.digits(str(line.trade.id)),
                "when": self._tongue.moment(line.trade.at),
                "other": line.trade.buyer if line.trade.seller == own else line.trade.seller,
                "energy": self._tongue.kwh(line.trade.energy_wh),
                "price": price,
                "service": service,
                "refs": [self._ref("event_trade", line.place)],
            }
            for line, price, service in zip(lines, prices, services, strict=True)
        ]

    def _column(self, name: str, amounts: list[int]) -> list[str]:
        """Amounts and their sum with the same decimals; the sum is kept under the column's name."""
        *shown, self.totals[name] = self._tongue.money(*amounts, sum(amounts))
        return shown

    def _points(self, *points: RegisterPoint) -> list[_Evidence]:
        found = [self._ref("event_registers", point.place) for point in points]
        return list(dict.fromkeys(found))

    def _ref(self, what: str, place: Place) -> _Evidence:
        if place not in self._numbers:
            self._numbers[place] = len(self.evidence)
            anchor = len(self.evidence) + 1
            number, block = self._tongue.digits(str(anchor)), self._tongue.digits(str(place.block))
            said = self._tongue.word(what)
            if self._attested is not None and place in self._attested.told:
                said += f" ({self._tongue.word('told_only')})"
            self.evidence.append(_Evidence(anchor, number, said, block, place))
        return self.evidence[self._numbers[place]]
