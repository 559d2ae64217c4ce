"""The market that this operator deployed on its node's chain."""

from __future__ import annotations

from agent.domain.deployment import Deployed
from agent.domain.errors import BadRequest
from agent.domain.market import Settlement
from agent.operator.ports import Chain, Deployments


def deployed_here(chain: Chain, deployments: Deployments) -> Deployed:
    """The market on the node's chain, made sure of.

    Raises:
        BadRequest: there is none, or the node's chain or code is another.
    """
    deployed = deployments.load(chain.chain_id())
    pin = deployed.pin
    if (genesis := chain.genesis_hash()) != pin.genesis_hash:
        raise BadRequest(
            f"the node's chain {pin.chain_id} begins with block {genesis}, the deployed market's with"
            f" {pin.genesis_hash}: this is another chain with the same number"
        )
    if (code := chain.code_hash(pin.contract)) != pin.code_hash:
        raise BadRequest(f"the code at {pin.contract} hashes to {code}; the deployed market's to {pin.code_hash}")
    return deployed


def unit_here(chain: Chain, deployments: Deployments) -> Settlement:
    """What money is called on the screens of the market on the node's chain.

    Raises:
        BadRequest: there is none, or the node's chain or code is another.
    """
    return chain.settlement(deployed_here(chain, deployments).pin.contract)
