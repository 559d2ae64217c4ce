"""What money is called on screens: the contract says it, and wei stands in where no full node can be asked."""

from __future__ import annotations

import sys

from agent.configuration import Configuration
from agent.domain.errors import NodeUnavailable
from agent.domain.market import WEI, Settlement


def settlement(configuration: Configuration) -> Settlement:
    """The market's unit, as a full node says; wei if none can be asked, which is said."""
    # Here, since it loads the chain's library.
    from agent.compose import invoicing  # noqa: PLC0415

    try:
        return invoicing.settlement(configuration)
    except NodeUnavailable as error:
        print(f"prosumer-agent: money is shown in wei, since no full node names its unit: {error}", file=sys.stderr)
        return WEI
