"""Proofs of a chain in memory: what is true of it, and nothing that a node says."""

from __future__ import annotations

from agent.adapters.evidence_rows import EvidenceRows
from agent.domain.outbox import Inclusion, Kind
from agent.domain.proofs import Claim, Proof
from tests.fakes.chain import Chain


class TrueProofs:
    """Proves what lies so deep in the canonical chain, whatever was claimed."""

    def __init__(self, chain: Chain, rows: EvidenceRows, depth: int) -> None:
        self.chain, self.rows, self.depth = chain, rows, depth

    def prove(self, claim: Claim) -> Proof | None:
        self.chain.ask()
        for block in self.chain.blocks[: len(self.chain.blocks) - self.depth]:
            for mined in block.txs:
                if mined.tx.tx_hash == claim.found.tx_hash:
                    inclusion = Inclusion(mined.tx.tx_hash, block.number, block.block_hash, mined.ok)
                    return Proof(inclusion, block.number, None if claim.entry.kind is Kind.REPORT else "{}\n")
        return None

    def keep(self, entry_id: int, proof: Proof) -> None:
        if proof.file is not None:
            self.rows.keep_entry(entry_id, proof.block, self.chain.clock.now_s, proof.file)
