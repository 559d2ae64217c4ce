"""The two households of the demonstration: a roof full of panels, and one that has little and buys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from simulators.ground import Prices
from simulators.household import Site
from simulators.load import Load
from simulators.meters import Wiring
from simulators.rig import Scene

SUNNY: Final = "sunny"
SHADY: Final = "shady"

# Of an 18-decimal unit: 0.005 to 0.02 for a kWh, and 0.001 for carrying it.
PRICES: Final = Prices(feed_in=5 * 10**15, retail=20 * 10**15, service_cost=10**15)

# A small panel, and much that runs all day.
_SHADE: Final = Site(panel_w=150.0, load=Load(base_w=800.0))
_SELLS: Final = """[rule]
enabled = true
sell = true
sell_at_least_wei_per_kwh = "8e15"
order_least_wh = 50
order_lifetime_s = 300
"""
_BUYS: Final = """[rule]
enabled = true
buy = true
buy_at_most_wei_per_kwh = "19e15"
order_least_wh = 50
buy_day_most_wei = "1e18"
reserve_wei = "1e16"
"""


def scene(name: str, directory: Path) -> Scene:
    """What surrounds one of the two.

    Args:
        name: Which.
        directory: Where its files go.
    """
    if name == SUNNY:
        return Scene(directory=directory, settings=_SELLS)
    return Scene(directory=directory, seed=2, wiring=Wiring.TCP, site=_SHADE, settings=_BUYS)
