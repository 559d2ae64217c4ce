"""The operator's transactions: signed, kept, sent, and followed until they are mined.

As with the household: what is signed is on the disk before the first byte leaves, and a command that was interrupted
sends the same bytes when it is run again. So a market is not deployed twice, and a household not funded twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.domain.amounts import told_money
from agent.domain.errors import BadRequest, Halted, NodeUnavailable, NotYet, Rejected
from agent.domain.fees import offer
from agent.domain.market import Settlement
from agent.domain.outbox import Inclusion
from agent.operator.ports import Chain, Key

# An estimate holds for the block it was made on; a slot that is new by then costs more.
_GAS_NUMERATOR, _GAS_DENOMINATOR = 5, 4
_POLL_S = 0.5
_RESEND_S = 10.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A transaction that was signed and is not known to be mined.

    Attributes:
        intent: what it does; the same command with the same arguments has the same.
        nonce: the account's.
        tx_hash: ``0x`` hex.
        raw: the signed bytes.
    """

    intent: str
    nonce: int
    tx_hash: str
    raw: bytes


class Shelf:
    """Where the one transaction under way is kept.

    Args:
        path: of the file; it and its folder are made when they are needed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def pending(self) -> Pending | None:
        """The transaction under way; None if there is none.

        Raises:
            BadRequest: the file is damaged.
        """
        try:
            kept = json.loads(self._path.read_bytes())
            return Pending(kept["intent"], int(kept["nonce"]), kept["txHash"], bytes.fromhex(kept["raw"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadRequest(
                f"{self._path} is damaged ({type(error).__name__}): look up the account's last transaction, then"
                " remove the file"
            ) from error

    def keep(self, pending: Pending) -> None:
        """Have it on the disk before this returns.

        Raises:
            BadRequest: it cannot be written; nothing may be sent then.
        """
        content = {
            "intent": pending.intent,
            "nonce": pending.nonce,
            "txHash": pending.tx_hash,
            "raw": pending.raw.hex(),
        }
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(content).encode())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            # The name is durable only when the folder is.
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise BadRequest(f"{self._path} cannot be written ({error.strerror}); choose --state-dir") from error

    def clear(self) -> None:
        """Forget it: what it did is recorded where it belongs."""
        self._path.unlink(missing_ok=True)


class Sender:
    """Sends one transaction at a time.

    Args:
        chain: the operator's full node.
        key: the operator's.
        shelf: keeps the transaction under way.
        most_fee: the most for a unit of gas, wei.
        depth: blocks wanted on top.
        timeout_s: how long to wait for a transaction, seconds.
        unit: asks what money is called on screens.
        monotonic: seconds that never step.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        chain: Chain,
        key: Key,
        shelf: Shelf,
        *,
        most_fee: int,
        depth: int,
        timeout_s: float,
        unit: Callable[[], Settlement],
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._chain = chain
        self._key = key
        self._shelf = shelf
        self._most_fee = most_fee
        self._depth = depth
        self._timeout_s = timeout_s
        self._unit = unit
        self._monotonic = monotonic
        self._sleep = sleep

    @property
    def address(self) -> str:
        """The operator's account."""
        return self._key.address

    def send(self, to: str, data: bytes, value: int = 0) -> Inclusion:
        """Have a transaction mined; call ``done`` when its result is recorded.

        Args:
            to: the account or contract; empty to deploy ``data``.
            data: calldata.
            value: wei.

        Raises:
            Rejected: the contract rejects it.
            NotYet: the contract rejects it now.
            NodeUnavailable: it was not mined in time; the same command goes on with it.
            Halted: another program used the key's nonce.
        """
        intent = _intent(to, data, value)
        pending = self._shelf.pending()
        if pending is not None and pending.intent != intent:
            # An interrupted command left it; its nonce comes first in any case.
            self._followed(pending)
            self._shelf.clear()
            pending = None
        if pending is None:
            pending = self._signed(intent, to, data, value)
        found = self._followed(pending)
        if not found.succeeded:
            self._shelf.clear()
            raise self._why(to, data, value)
        return found

    def interrupted(self, to: str, data: bytes, value: int = 0) -> bool:
        """Whether exactly this transaction was begun by a command that did not end."""
        pending = self._shelf.pending()
        return pending is not None and pending.intent == _intent(to, data, value)

    def settle(self) -> None:
        """Follow what an interrupted command left until it is mined, so that a balance that is read next holds it.

        Raises:
            NodeUnavailable: it was not mined in time.
            Halted: another program used the key's nonce.
        """
        pending = self._shelf.pending()
        if pending is not None:
            self._followed(pending)
            self._shelf.clear()

    def done(self) -> None:
        """The result of the last transaction is recorded; it need not be sent again."""
        self._shelf.clear()

    def _signed(self, intent: str, to: str, data: bytes, value: int) -> Pending:
        gas = self._chain.estimate_gas(self.address, to, data, value) * _GAS_NUMERATOR // _GAS_DENOMINATOR
        quote = self._chain.fee_quote()
        if quote.base_fee > self._most_fee:
            # No block would take it, and what is kept here holds up every command that comes after.
            raise BadRequest(
                f"gas costs {quote.base_fee} wei now, more than the {self._most_fee} of --max-fee: wait, or raise it"
            )
        fee = offer(quote, self._most_fee)
        if (cost := gas * fee.max_fee + value) > (balance := self._chain.balance(self.address)):
            held, needed = (told_money(wei, self._unit()) for wei in (balance, cost))
            raise BadRequest(f"account {self.address} holds {held} and needs {needed}: fund it")
        nonce = self._chain.nonce(self.address, pending=True)
        tx_hash, raw = self._key.sign_transaction(nonce, to, data, gas, fee, value)
        pending = Pending(intent, nonce, tx_hash, raw)
        self._shelf.keep(pending)
        return pending

    def _followed(self, pending: Pending) -> Inclusion:
        """Send it, again where needed, until it is mined and deep enough."""
        began = self._monotonic()
        sent_at: float | None = None
        problem = "it waits in the mempool"
        while True:
            now = self._monotonic()
            try:
                # The receipt first: one development node executes a re-sent transaction of nonce 0 again.
                found = self._chain.receipt(pending.tx_hash)
                if found is not None and self._chain.head().number - found.block_number >= self._depth:
                    return found
                if found is None and self._chain.nonce(self.address, pending=False) > pending.nonce:
                    found = self._chain.receipt(pending.tx_hash)
                    if found is None:
                        raise Halted(
                            f"nonce {pending.nonce} of {self.address} was used by another transaction than"
                            f" {pending.tx_hash}: is the key in use elsewhere? If its work is done, remove the file"
                            " of the pending transaction in the state directory"
                        )
                if found is None and (sent_at is None or now - sent_at >= _RESEND_S):
                    sent_at = now
                    if not self._chain.send_raw(pending.raw):
                        problem = "the node does not take it"
            except NodeUnavailable as error:
                problem = str(error)
            if now - began >= self._timeout_s:
                raise NodeUnavailable(
                    f"transaction {pending.tx_hash} was not mined within {self._timeout_s:g} s ({problem});"
                    " run the same command again to go on with it"
                )
            self._sleep(_POLL_S)

    def _why(self, to: str, data: bytes, value: int) -> Rejected | NotYet:
        """What a transaction that was mined and reverted was refused with."""
        try:
            self._chain.estimate_gas(self.address, to, data, value)
        except (Rejected, NotYet) as refused:
            return refused
        except NodeUnavailable:
            pass
        return NotYet("the contract rejected it when it was mined, and would take it now; run the same command again")


def _intent(to: str, data: bytes, value: int) -> str:
    return hashlib.sha256(b"|".join((to.lower().encode(), data, str(value).encode()))).hexdigest()
