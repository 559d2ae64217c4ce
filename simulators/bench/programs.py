"""Rooms of the agent that are measured alone, each in an interpreter of its own, and how long commands take to start.

The programs are text: nothing here imports what it measures, so that no import of the bench itself is counted in.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from simulators.bench.figures import BenchError, Figure, Section, percentile
from simulators.meters import CONSUMPTION, PRODUCTION, HouseholdMeters, Plan

_PROGRAM_S: Final = 120.0
_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_STARTS: Final = 5

_READS: Final = """
import json, sys, time
from drivers.catalogue import Catalogue
from drivers.line import LinePool
from drivers.meter import Counts
from drivers.opening import open_meter
from drivers.settings import RtuSettings, TcpSettings

asked = json.loads(sys.argv[1])
settings = RtuSettings(asked["path"]) if asked["wire"] == "rtu" else TcpSettings(asked["host"], asked["port"])
line = LinePool().line(settings)
meter = open_meter(line, Catalogue().profile(asked["model"]), asked["unit"], Counts(asked["counts"]))
meter.read()  # opens the line, and looks at the meter's settings once
wall, cpu = time.perf_counter(), time.process_time()
unknown = sum(meter.read().register_wh is None for _ in range(asked["reads"]))
print(json.dumps({
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu,
    "unknown": unknown,
    "profile": asked["model"],
}))
meter.close()
"""

_UNLOCK: Final = """
import json, sys, time
from pathlib import Path
from agent import passphrase
from agent.compose.keys import Keystore

def peak():
    # Not getrusage: its peak is that of the parent, before this program was loaded.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

given = passphrase.from_file(Path(sys.argv[2]))
before, began = peak(), time.perf_counter()
Keystore.open(Path(sys.argv[1]), given)
print(json.dumps({"wall_s": time.perf_counter() - began, "grown_kib": peak() - before, "peak_kib": peak()}))
"""

_VERIFY: Final = """
import json, sys, time
from agent.adapters.keystore import recover_reading
from agent.domain.collecting import check_signer, parse_reading, parse_topic
from agent.domain.signing import SigningDomain

asked = json.loads(sys.argv[1])
market = SigningDomain(asked["chain"], asked["contract"])
heard = [json.loads(line) for line in open(asked["path"])]
began = time.perf_counter()
for topic, payload in heard:
    reading = parse_reading(parse_topic(topic), payload.encode(), market, asked["now"])
    check_signer(reading, recover_reading(reading.signed, market))
print(json.dumps({"wall_s": time.perf_counter() - began, "count": len(heard)}))
"""

_PROVE: Final = """
import json, sys, time
from dataclasses import replace
from eth_keys.datatypes import PrivateKey
from agent.compose.pins import slot_layout
from agent.domain.market import ChainPin
from agent.light import bft, evidence, evidence_file, gathering, seals, tries
from agent.light.hashing import keccak
from agent.light.headers import Consensus

told = json.load(open(sys.argv[1]))
household, contract = (bytes.fromhex(told[name][2:]) for name in ("household", "contract"))
chain = ChainPin(told["chain"], "0x" + "00" * 32, told["contract"], told["slot"]["codeHash"])
layout = slot_layout()
texts = [json.dumps(told[name]) for name in ("header", "account", "slot")]
recorded = gathering.header(told["header"], Consensus.UNSEALED)

def sealed(count):
    keys = [PrivateKey(bytes([number + 1]) * 32) for number in range(count)]
    names = tuple(sorted(key.public_key.to_canonical_address() for key in keys))
    extra = bft.Extra(bytes(32), names, None, 0, ())
    mix = b"ctical byzantine fault tolerance"
    plain = replace(recorded, miner=names[0], difficulty=1, nonce=bytes(8), mix_hash=mix)
    digest = keccak(plain.with_extra(extra.sealed_part(ibft2=False)))
    extra = replace(extra, seals=tuple(key.sign_msg_hash(digest).to_bytes() for key in keys))
    return replace(plain, extra_data=extra.encoded(ibft2=False)), names

def signed(count):
    # A Clique block and as many after it as more than half of the signers have sealed.
    keys = [PrivateKey(bytes([number + 1]) * 32) for number in range(count)]
    keys.sort(key=lambda key: key.public_key.to_canonical_address())
    found, header = [], replace(recorded, miner=bytes(20), nonce=bytes(8), mix_hash=bytes(32), difficulty=2)
    for _ in range(count // 2 + 1):
        unsealed = replace(header, extra_data=bytes(32))
        seal = keys[header.number % count].sign_msg_hash(keccak(unsealed.encoded())).to_bytes()
        found.append(replace(header, extra_data=bytes(32) + seal))
        header = replace(header, parent_hash=keccak(found[-1].encoded()), number=header.number + 1)
    return found, tuple(key.public_key.to_canonical_address() for key in keys)

def prove(consensus, headers, names):
    head, account, slot = (json.loads(text) for text in texts)
    found = gathering.header(head, Consensus.UNSEALED)
    sealed = tuple(header.encoded() for header in headers or [found])
    piece = gathering.state_piece(household, account, slot)
    shown = evidence.Evidence(told["chain"], contract, found.number, sealed, None, piece)
    place = seals.Place(found.number - 1, found.parent_hash, names)
    verdict = evidence.verify(shown, evidence.Pins(chain, seals.Rules(consensus), place, layout))
    wanted = "unproven" if consensus is Consensus.UNSEALED else "proven"
    if verdict.outcome != wanted or verdict.slot.produced_wh != told["produced"]:
        raise SystemExit(f"{verdict.outcome}: {verdict.lacks}")
    return shown

def milliseconds(work, times):
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - began) / times

(four, names), (many, others) = sealed(4), sealed(21)
three, signers = signed(3)
values = [keccak(bytes([number])) * 15 for number in range(100)]
print(json.dumps({
    "qbft_ms": milliseconds(lambda: prove(Consensus.QBFT, [four], names), 100),
    "qbft_21_ms": milliseconds(lambda: prove(Consensus.QBFT, [many], others), 50),
    "unsealed_ms": milliseconds(lambda: prove(Consensus.UNSEALED, None, ()), 100),
    "trie_ms": milliseconds(lambda: tries.ordered(values), 20),
    "file_bytes": len(evidence_file.written(prove(Consensus.QBFT, [four], names))),
    "clique_ms": milliseconds(lambda: prove(Consensus.CLIQUE, three, signers), 100),
}))
"""


def proving(answers: Path) -> Mapping[str, Any]:
    """Prove an interval again and again from a node's answers; how long it took, and how long the evidence is.

    Args:
        answers: A JSON file of them.

    Raises:
        BenchError: It was refused.
    """
    return told_by(_PROVE, [str(answers)])


def verifying(path: Path, chain: int, contract: str, now: int) -> Figure:
    """Verify messages one after the other, with nothing else to do.

    Args:
        path: One message a line, as JSON: topic and payload.
        chain: The chain that they are signed for.
        contract: The contract.
        now: UTC epoch seconds.

    Raises:
        BenchError: One of them was not taken.
    """
    seen = told_by(_VERIFY, [json.dumps({"path": str(path), "chain": chain, "contract": contract, "now": now})])
    return Figure(
        "verified, nothing else to do",
        seen["count"] / seen["wall_s"],
        "a second",
        remark="form, household and signature of a reading, on one core",
    )


def guarded_reads(count: int) -> Section:
    """Read both meters as fast as they allow, one after the other.

    Args:
        count: How many reads of each.

    Raises:
        BenchError: A read failed, or gave no register.
    """
    figures = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, HouseholdMeters(Plan(Path(directory))) as meters:
        for name, wire in ((PRODUCTION, "TCP"), (CONSUMPTION, "RTU on a pty")):
            place = {**meters.addresses()[name], "reads": count}
            seen = told_by(_READS, [json.dumps(place)])
            if seen["unknown"]:
                raise BenchError(f"{seen['unknown']} of {count} reads of the {name} meter gave no register")
            remark = f"{seen['profile']}, its pauses between requests kept"
            figures += [
                Figure(f"guarded reads, {wire}", count / seen["wall_s"], "a second", remark=remark),
                Figure(f"processor for a read, {wire}", 1000 * seen["cpu_s"] / count, "ms"),
            ]
    return Section("reads", f"{count} guarded reads of each simulated meter, one after the other", figures)


def unlocking(keystore: Path, passphrase: Path) -> list[Figure]:
    """Unlock a keystore in a fresh process."""
    seen = [told_by(_UNLOCK, [str(keystore), str(passphrase)]) for _ in range(3)]
    median = percentile([each["wall_s"] for each in seen], 0.5)
    grown = max(each["grown_kib"] for each in seen) / 1024
    return [
        Figure("keystore unlocked in", median, "s", remark="median of 3; the key derivation is slow on purpose"),
        Figure("memory to unlock it", grown, "MiB", remark="growth of the peak"),
    ]


def start_of(name: str, arguments: Sequence[str]) -> Figure:
    """How long a command of the agent takes from its start to its end."""
    took = []
    for _ in range(_STARTS):
        began = time.monotonic()
        _done([sys.executable, "-m", "agent", *arguments])
        took.append(time.monotonic() - began)
    return Figure(name, percentile(took, 0.5), "s", remark=f"median of {_STARTS}, interpreter included")


def yardstick() -> float:
    """Seconds of processor for a fixed piece of work in pure Python: compares machines, and a busy one with itself."""
    began = time.process_time()
    total = 0
    for number in range(2_000_000):
        total ^= number * number
    return time.process_time() - began


def told_by(program: str, arguments: Sequence[str], within_s: float = _PROGRAM_S) -> Mapping[str, Any]:
    """What a program says, as JSON.

    Args:
        program: Its text.
        arguments: Its arguments.
        within_s: The longest that it may take, seconds.

    Raises:
        BenchError: It failed; with its own words.
    """
    seen: dict[str, Any] = json.loads(_done([sys.executable, "-c", program, *arguments], within_s))
    return seen


def _done(command: Sequence[str], within_s: float = _PROGRAM_S) -> str:
    done = subprocess.run(
        command,
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"{command[1]} {command[2][:60]!r} ended with code {done.returncode}:\n{done.stderr}")
    return done.stdout
