"""The one house that all these tests share, in the order of their files: `test_offline` ends its nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulators.consortium.geth import find_geth
from simulators.consortium.network import Plan
from simulators.rig import Scene
from tests.system.consortium.street import BUMP_AFTER_S, EPOCH, MOST_FEE_WEI, PERIOD_S, POOL, Street, street

# A mempool with room for a few, in which nobody's transactions are kept for being given to this node.
_SMALL_POOL = (
    *("--txpool.nolocals", "--txpool.globalslots", str(POOL - 4), "--txpool.globalqueue", "4"),
    *("--txpool.accountslots", str(POOL)),
)
_SETTINGS = f"[fees]\nbump_after_s = {BUMP_AFTER_S}\nmax_fee_per_gas_wei = {MOST_FEE_WEI}\n"


@pytest.fixture(scope="package")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    if find_geth() is None:
        pytest.skip("no go-ethereum that seals Clique: run .ci/setup consortium")
    scene = Scene(
        directory=tmp_path_factory.mktemp("neighbours") / "rig",
        period_s=PERIOD_S,
        speed=60.0,
        settings=_SETTINGS,
        consortium=Plan(standbys=1, epoch=EPOCH, node_options=_SMALL_POOL),
    )
    with street(scene) as one:
        yield one
