"""The journal's evidence: files that prove something without a full node's word, compressed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from agent.adapters.journal import Journal

# Headers are mostly zeros, and hexadecimal digits hold half of what a byte can.
_LEVEL = 9
_MOST_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class KeptEvidence:
    """An evidence file as the journal keeps it.

    Attributes:
        block: number of the block that it proves something in.
        proven_at: UTC epoch seconds.
        file: its text.
    """

    block: int
    proven_at: int
    file: str


class EvidenceRows:
    """Evidence of entries, and the newest of the household's slot. Each method is one commit."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def keep_slot(self, block: int, now: int, file: str) -> None:
        """Keep the newest proof of the household's slot in place of the one before.

        Args:
            block: number of the block after which the slot was so.
            now: UTC epoch seconds.
            file: the evidence file's text.
        """
        with self._journal.transaction() as journal:
            journal.execute("DELETE FROM evidence WHERE entry_id IS NULL")
            self._insert(None, block, now, file)

    def keep_entry(self, entry_id: int, block: int, now: int, file: str) -> None:
        """Keep the evidence of an entry; once more replaces it."""
        with self._journal.transaction() as journal:
            journal.execute("DELETE FROM evidence WHERE entry_id = ?", (entry_id,))
            self._insert(entry_id, block, now, file)

    def slot(self) -> KeptEvidence | None:
        """The newest proof of the household's slot; None if there is none."""
        return self._kept("SELECT * FROM evidence WHERE entry_id IS NULL", ())

    def of_transaction(self, tx_hash: str) -> KeptEvidence | None:
        """The evidence of the entry that a transaction belongs to; None if none is kept."""
        return self._kept(
            "SELECT evidence.* FROM evidence JOIN attempt ON attempt.entry_id = evidence.entry_id WHERE tx_hash = ?",
            (tx_hash,),
        )

    def _insert(self, entry_id: int | None, block: int, now: int, file: str) -> None:
        self._journal.execute(
            "INSERT INTO evidence (entry_id, block, proven_at, file) VALUES (?, ?, ?, ?)",
            (entry_id, block, now, zlib.compress(file.encode("ascii"), _LEVEL)),
        )

    def _kept(self, sql: str, parameters: tuple[object, ...]) -> KeptEvidence | None:
        row = self._journal.one(sql, parameters)
        if row is None:
            return None
        text = zlib.decompressobj().decompress(bytes(row["file"]), _MOST_BYTES).decode("ascii")
        return KeptEvidence(row["block"], row["proven_at"], text)
