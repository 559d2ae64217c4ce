"""What the contract's errors mean to an operator, and what to do about each."""

from __future__ import annotations

from collections import defaultdict

from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak

from agent.domain.errors import Rejected

_ROLES = {
    "0x" + bytes(32).hex(): "an administrator",
    "0x" + keccak(text="REGISTRATION_OFFICE").hex(): "a registration office",
    "0x" + keccak(text="DISTRIBUTION_AGENT").hex(): "a distribution agent",
}
"""The contract's roles by their identifiers; the administrator's is OpenZeppelin's, zeros."""

# By the error's name; in braces the error's own facts. An error that only a household's readings meet is not here.
_MEANINGS = {
    "AccessControlUnauthorizedAccount": (
        "account {account} is not {role} of this market; sign with the key of one (--keystore), or have the"
        " administrator grant it the role"
    ),
    "AlreadyEnrolled": "household {account} is enrolled already; a new meter is entered with replace-meter",
    "NotEnrolled": "household {account} is not enrolled in this market; compare the address, or approve its request",
    "MeterInUse": (
        "a meter with this model and serial number is household {account}'s already, and its energy would count twice;"
        " compare both with the meter's plate"
    ),
    "ImpossibleEnergy": (
        "the {meter} meter's closing register is {gotWh} Wh above the last one booked, and the connection's rating"
        " allows {allowedWh} Wh since then; compare --closing with the old meter's display (in Wh, not kWh), and the"
        " household's rating with its contract"
    ),
    "RegisterFell": (
        "the {meter} meter's closing register of {gotWh} Wh is below the {lastWh} Wh that are booked; compare --closing"
        " with the old meter's display (in Wh, not kWh), or say --closing {lastWh} if it cannot be read"
    ),
    "EpochsExhausted": (
        "household {account} has had as many meters and resets as the contract counts; enrol it with another account"
    ),
    "TariffInverted": (
        "a feed-in tariff of {feedInWeiPerKWh} wei would be above the retail tariff of {retailWeiPerKWh} wei, so that"
        " no price suits both sides; set --retail to as much as --feed-in or more, both in one command"
    ),
    "PeriodOutOfBounds": "a reporting period of {gotS} s is out of bounds; {minimumS} to {maximumS} s are right",
    "ZeroAccount": "a role or a household is the zero address, which is nobody's; name an account",
    "unknown": (
        "the contract refuses it for a reason that this release does not know; use the release that deployed the market"
    ),
}


def told(error: Rejected) -> str:
    """A refusal in words: what it means, what to do, and in brackets the contract's own name and facts for it.

    Args:
        error: what the contract said.
    """
    meaning = _MEANINGS.get(error.error)
    if meaning is None:
        return str(error)
    facts = defaultdict(lambda: "?", {name: _shown(value) for name, value in error.facts.items()})
    facts["role"] = _ROLES.get(facts["neededRole"], f"a holder of the role {facts['neededRole']}")
    return f"{meaning.format_map(facts)} ({error})"


def _shown(fact: object) -> str:
    """A fact as a person copies it: an account with its checksum."""
    return str(to_checksum_address(fact)) if isinstance(fact, str) and is_address(fact) else str(fact)
