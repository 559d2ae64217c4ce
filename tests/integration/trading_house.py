"""A household over a real chain: its configuration, its journal, and the stages of its agent that trade."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from agent.adapters.household_key import HouseholdKey
from agent.adapters.journal import open_journal
from agent.adapters.journal_hold import JournalHold
from agent.adapters.keystore import Keystore
from agent.adapters.market import Market
from agent.adapters.node_pool import NodePool
from agent.adapters.outbox_rows import OutboxRows
from agent.adapters.reading_rows import ReadingRows
from agent.compose import parts
from agent.configuration import load
from agent.domain.fees import report_gas
from agent.domain.outbox import Intent, Kind, Rules
from agent.domain.readings import Reading
from agent.stages.confirm import Confirm
from agent.stages.submit import Fees, Submit
from contracts import load_artifact
from tests.fakes.keystores import quick_keystore
from tests.fakes.world import HeardEvents

RULES = Rules(depth=1, agreement=1)
PASSPHRASE = b"a passphrase"


def moved_in(folder: Path, url: str, deployed: dict[str, Any], wallet: LocalAccount) -> Path:
    """The files of a new household; returns its configuration."""
    folder.mkdir(mode=0o700)
    (folder / "state").mkdir(mode=0o700)
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    (folder / "passphrase").chmod(0o600)
    quick_keystore(folder / "key.json", wallet.key, PASSPHRASE.decode())
    file = folder / "agent.toml"
    file.write_text(f"""
[household]
account = "{wallet.address}"
area = "tehran-03"
rated_power_w = 8000
[meters.production]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:1"
[meters.consumption]
profile = "eastron_sdm120"
line = "tcp://127.0.0.1:2"
[chain]
id = {deployed["chainId"]}
genesis = "{deployed["genesis"]}"
contract = "{deployed["contract"]}"
code_hash = "{deployed["codeHash"]}"
depth = 1
unproven = true
[[chain.nodes]]
url = "{url}"
area = "tehran-03"
[journal]
directory = "{folder}/state"
[keystore]
path = "{folder}/key.json"
passphrase_file = "{folder}/passphrase"
[clock]
require_synchronised = false
""")
    return file


class House:
    """A household's agent, as far as it trades."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.events = HeardEvents()
        self.configuration = configuration = load(file, {})
        self.account = configuration.household.account
        self.state = configuration.journal.directory
        self.hold: JournalHold | None = JournalHold(self.state)
        self.journal, _ = open_journal(self.state)
        self.outbox = OutboxRows(self.journal)
        self.nodes: NodePool = parts.open_nodes(configuration, self.events)
        self.market, self.contract = Market(load_artifact().abi), configuration.chain.contract
        keystore = Keystore.open(configuration.keystore.path, PASSPHRASE)
        shared: dict[str, Any] = {
            "outbox": self.outbox,
            "readings": ReadingRows(self.journal, self.account),
            "journal": self.journal,
            "nodes": self.nodes,
            "signer": HouseholdKey(keystore, parts.signing_domain(configuration)),
            "codec": self.market,
            "rules": RULES,
            "fees": Fees(most=10**11),
            "clock": parts.open_clock(configuration),
            "events": self.events,
        }
        self.submit = Submit(contract=self.contract, may_submit=lambda: True, **shared)
        self.confirm = Confirm(proofs=None, began_at=int(time.time()), **shared)

    def reports(self, sequence: int, produced_wh: int, consumed_wh: int) -> None:
        """A reading waits to be sent."""
        taken_at = int(time.time()) - 100 + sequence
        reading = Reading(self.account, 1, sequence, taken_at, produced_wh, consumed_wh)
        data = self.market.report([reading.packed()])
        self.outbox.queue(Intent(f"report:{sequence}", Kind.REPORT, self.contract, data, report_gas(1)), taken_at)

    def close(self) -> None:
        """Let go of everything."""
        self.nodes.close()
        self.journal.close()
        if self.hold is not None:
            self.hold.close()
