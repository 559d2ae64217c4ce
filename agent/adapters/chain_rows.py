"""The journal's copy of what the chain said last, for starts without a network and for ``status``."""

from __future__ import annotations

import json
from dataclasses import asdict

from agent.adapters.journal import Journal
from agent.domain.errors import ConfigurationInvalid
from agent.domain.market import ChainPin, Head, HouseholdState, Parameters

_PARAMETERS = "parameters"
_HOUSEHOLD = "household"
_WRITTEN_FOR = "written_for"
_FOLLOWED = "followed"


class ChainRows:
    """Parameters and household state as the contract stated them last."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def bind(self, account: str, pin: ChainPin) -> None:
        """Keep for whom this journal is, or compare: its signed bytes and numbers are worth nothing to another.

        Args:
            account: the household.
            pin: its chain and contract.

        Raises:
            ConfigurationInvalid: it was written for another household, chain or contract.
        """
        ours = {
            "household.account": account,
            "chain.id": pin.chain_id,
            "chain.genesis": pin.genesis_hash,
            "chain.contract": pin.contract,
        }
        kept = self._journal.fact(_WRITTEN_FOR)
        if kept is None:
            self._journal.set_fact(_WRITTEN_FOR, json.dumps(ours))
            return
        theirs = json.loads(kept)
        problems = [
            f"{key}: it is {value}, but the journal {self._journal.path} was written for {theirs[key]}; put that back,"
            " or name another journal.directory when nothing waits in this one"
            for key, value in ours.items()
            if value != theirs[key]
        ]
        if problems:
            raise ConfigurationInvalid(problems)

    def parameters(self) -> Parameters | None:
        """The parameters, or None if the contract was never asked."""
        kept = self._journal.fact(_PARAMETERS)
        return None if kept is None else Parameters(**json.loads(kept))

    def set_parameters(self, parameters: Parameters) -> None:
        """Keep the parameters."""
        self._journal.set_fact(_PARAMETERS, json.dumps(asdict(parameters)))

    def household(self) -> tuple[HouseholdState, Head] | None:
        """The household's state and the block at which it was read, or None."""
        kept = self._journal.fact(_HOUSEHOLD)
        if kept is None:
            return None
        facts = json.loads(kept)
        return HouseholdState(**facts["state"]), Head(**facts["head"])

    def set_household(self, household: HouseholdState, head: Head) -> None:
        """Keep what the contract holds of the household, and at which block."""
        self._journal.set_fact(_HOUSEHOLD, json.dumps({"state": asdict(household), "head": asdict(head)}))

    def place(self) -> str | None:
        """How far it was followed who may seal, as text; None if it never was."""
        return self._journal.fact(_FOLLOWED)

    def set_place(self, text: str) -> None:
        """Keep how far it was followed."""
        self._journal.set_fact(_FOLLOWED, text)
