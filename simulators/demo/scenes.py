"""The two households of the demonstration: a roof full of panels, and one that has little and buys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simulators.ground import Prices
from simulators.household import Site
from simulators.meters import Wiring
from simulators.rig import Scene

SUNNY: Final = "sunny"
SHADY: Final = "shady"

# Of an 18-decimal unit: 0.005 to 0.02 for a kWh, and 0.001 for carrying it.
PRICES: Final = Prices(feed_in=5 * 10**15, retail=20 * 10**15, service_cost=10**15)


def scene(name: str, directory: Path) -> Scene:
    """What surrounds one of the two.

    Args:
        name: Which.
        directory: Where its files go.
    """
    if name == SUNNY:
        return Scene(directory=directory)
    return Scene(directory=directory, seed=2, wiring=Wiring.TCP, site=Site(panel_w=300.0))
