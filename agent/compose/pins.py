"""What a household pinned, as the room that checks proofs takes it."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.metadata import version

from agent.configuration import PinSettings
from agent.domain.market import ChainPin
from agent.light.evidence import Pins
from agent.light.headers import Consensus
from agent.light.orders import OrderLayout
from agent.light.seals import Place, Rules
from agent.light.state import SlotField, SlotLayout
from contracts import load_artifact


def chain_pin(chain: PinSettings) -> ChainPin:
    """The chain and the contract."""
    return ChainPin(chain.id, chain.genesis, chain.contract, chain.code_hash)


def pins_of(chain: PinSettings) -> Pins | None:
    """All that proofs rest on; None where the chain is unproven, and nobody seals.

    What is proven of a Clique chain is left to the majority of signers: the configured depth says when the household
    acts on a block, not what others must be shown.
    """
    if chain.consensus is None or chain.validators is None:
        return None
    return Pins(
        chain=chain_pin(chain),
        rules=Rules(Consensus(chain.consensus), chain.epoch),
        place=Place(
            number=chain.checkpoint_block,
            block_hash=bytes.fromhex((chain.checkpoint_hash or chain.genesis)[2:]),
            validators=tuple(sorted(bytes.fromhex(one[2:]) for one in chain.validators)),
        ),
        layout=slot_layout(),
        depth=chain.depth,
    )


def judge(chain: PinSettings) -> str:
    """Who decides what is a lie, in one word: this release, with these pins."""
    return sha256(f"{version('prosumer-agent')} {pins_of(chain)!r}".encode()).hexdigest()


def slot_layout() -> SlotLayout:
    """Where households' slots lie and what is in them, as the contract's compiler says.

    Raises:
        ArtifactError: the compiled contract cannot be read.
    """
    told = load_artifact().household
    return SlotLayout(told.base, tuple(SlotField(_attribute(one.label), one.offset, one.bits) for one in told.fields))


def order_layout() -> OrderLayout:
    """Where sellers' orders lie and what is in their slots; as ``slot_layout``."""
    told = load_artifact().orders
    found = {one.label: SlotField(_attribute(one.label), one.offset, one.bits) for one in told.fields}
    return OrderLayout(told.base, told.places, left=found["energyWh"], number=found["number"])


def _attribute(label: str) -> str:
    """Solidity's name of a field as Python has it: ``consumedWh`` is ``consumed_wh``."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda capital: "_" + capital[0].lower(), label)


def unsealed(chain: PinSettings) -> Pins:
    """Pins of a development chain: what fits together under them is unproven."""
    genesis = Place(0, bytes.fromhex(chain.genesis[2:]), ())
    return Pins(chain_pin(chain), Rules(Consensus.UNSEALED), genesis, slot_layout())
