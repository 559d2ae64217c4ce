"""``evidence verify``: pins and a file, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from agent.adapters.deployments import load_market
from agent.cli.evidence_screen import exported, said
from agent.cli.main import main
from agent.compose.verifying import check
from agent.configuration import load_pins
from agent.domain import market_events as events
from agent.domain.deployment import Sealing
from agent.domain.market import ChainPin
from agent.domain.market_calls import BuyCall, CancelCall, MarketCall, OfferCall, RedeemCall
from agent.domain.orders import Order, Trade
from agent.domain.samples import MeterRole
from agent.light import evidence_file
from agent.light.evidence import Evidence, Pins
from agent.light.hashing import shown
from agent.light.headers import Consensus
from agent.operator.deploy import snippet
from tests.fakes.recorded import MIXED, evidence_of, raw, recording, sealed

SEALED = [Consensus.QBFT, Consensus.IBFT2, Consensus.CLIQUE]


class Case:
    """An evidence file and a pins file, as ``deploy`` prints it."""

    def __init__(self, folder: Path, evidence: Evidence, pins: Pins, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.pins, self._capsys = folder / "evidence.json", folder / "pins.toml", capsys
        self.file.write_text(evidence_file.written(evidence))
        chain = replace(
            pins.chain,
            genesis_hash="0x" + pins.place.block_hash.hex(),
            contract=shown(bytes.fromhex(pins.chain.contract[2:])),
        )
        validators = tuple(shown(one) for one in pins.place.validators)
        self.pins.write_text(snippet(chain, 7, Sealing(pins.rules.consensus.value, pins.rules.epoch, validators)))

    def run(self, *words: str) -> tuple[int, str, str]:
        code = main(["evidence", "verify", str(self.file), "--pins", str(self.pins), *words])
        told = self._capsys.readouterr()
        return code, told.out, told.err


@pytest.fixture
def case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Case:
    _, evidence, pins = sealed(recording(), Consensus.CLIQUE)
    return Case(tmp_path, evidence, pins, capsys)


@pytest.mark.parametrize("consensus", SEALED)
def test_what_deploy_prints_is_enough_to_prove_a_reading_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], consensus: Consensus
) -> None:
    told = recording()
    _, evidence, pins = sealed(told, consensus)
    code, out, err = Case(tmp_path, evidence, pins, capsys).run()

    assert (code, err) == (0, "")
    assert out.startswith("PROVEN by the pins alone")
    for line in (
        r"^time +2026-06-22 05:00:10Z$",
        rf"^household +{told['household']}$",
        r"^last reading +epoch 1, sequence 2, taken 2026-06-22 05:31:04Z$",
        r"^produced +1235\.189 kWh$",
        r"^consumed +2345\.992 kWh$",
        r"^energy tokens +0\.622 kWh$",
        r"^asks +report of 1 reading",
        r"^outcome +carried out$",
        rf"^says +reading of {told['household']}: epoch 1, sequence 2, .* produced 1235\.189 kWh",
        r"^- It rests on the pinned validators",
        *([r"^- 3 blocks follow it here; chain\.depth of .* is 12"] if consensus is Consensus.CLIQUE else []),
    ):
        assert re.search(line, out, re.MULTILINE), line


def test_a_program_gets_verdict_and_fields(case: Case) -> None:
    code, out, _ = case.run("--json")
    facts = json.loads(out)

    assert (code, facts["outcome"], facts["block"], facts["time"]) == (0, "proven", 2, 1_782_104_410)
    assert (facts["linked"], facts["blocksAfter"]) == (True, 3)
    assert out == json.dumps(facts, indent=2, sort_keys=True) + "\n"
    assert (facts["state"]["slot"]["producedWh"], facts["state"]["slot"]["tokensWh"]) == (1_235_189, 622)
    assert (facts["transaction"]["function"], facts["transaction"]["carriedOut"]) == ("report", True)
    assert [one["event"] for one in facts["transaction"]["events"]] == ["ReadingBooked"]
    assert facts["transaction"]["events"][0]["reading"]["consumedWh"] == 2_345_992


def test_too_few_blocks_after_it_are_unproven_and_claimed_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, evidence, pins = sealed(recording(), Consensus.CLIQUE, after=1)
    short = Case(tmp_path, evidence, pins, capsys)
    code, out, _ = short.run()

    assert code == 1
    assert out.startswith("UNPROVEN: 2 of 4 signers sealed it or a block after it, and more than half must")
    assert "only claimed" in out
    assert "unproven: " not in out.partition("Not shown:")[2]
    assert json.loads(short.run("--json")[1])["outcome"] == "unproven"


def test_what_is_wrong_is_refused_with_the_reason_alone(case: Case) -> None:
    text = case.file.read_text()
    at = text.index('"receiptProof":["0x') + 40
    case.file.write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
    code, out, err = case.run()

    assert (code, err) == (1, "")
    assert re.fullmatch(
        r"REFUSED: proof of the receipt.*\nThe file was changed on its way, or .* pins of its time\.\n", out
    )
    facts = json.loads(case.run("--json")[1])
    assert (facts["outcome"], facts["proves"], "state" in facts, "blockHash" in facts) == ("refused", [], False, False)


def test_what_was_exported_just_now_and_is_refused_by_the_first_pins_was_not_changed_on_its_way(case: Case) -> None:
    case.pins.write_text(re.sub(r'"0x1a642f[0-9a-fA-F]+"', '"0x' + "11" * 20 + '"', case.pins.read_text()))
    checked = check(case.file, load_pins(case.pins, {}))
    loose, linked = (exported(checked, linked=linked) for linked in (False, True))

    assert loose.startswith("REFUSED: block 1 is sealed by") == linked.startswith("REFUSED: block 1 is sealed by")
    assert ("one exported with --linked" in loose, "changed on its way" in loose) == (True, False)
    assert ("one exported with --linked" in linked, "changed on its way" in linked) == (False, True)


def test_a_development_chain_proves_nothing(case: Case) -> None:
    told = recording()
    case.file.write_text(evidence_file.written(evidence_of(told)))
    chain = ChainPin(told["chainId"], told["genesis"], shown(raw(told["contract"])), _code_hash(told))
    case.pins.write_text(snippet(chain, 7, None))
    code, out, _ = case.run()

    assert code == 1
    assert out.startswith("UNPROVEN: nobody seals the blocks of this chain")


@pytest.mark.parametrize("index", range(len(recording()["blocks"][MIXED]["block"]["transactions"])))
def test_every_kind_of_transaction_is_told(case: Case, index: int) -> None:
    told = recording()
    case.file.write_text(evidence_file.written(evidence_of(told, MIXED, index)))
    chain = ChainPin(told["chainId"], told["genesis"], shown(raw(told["contract"])), _code_hash(told))
    case.pins.write_text(snippet(chain, 7, None))
    _, out, err = case.run()
    facts = json.loads(case.run("--json")[1])["transaction"]
    sent = told["blocks"][MIXED]["block"]["transactions"][index]
    reverted = told["blocks"][MIXED]["receipts"][index]["status"] == "0x0"

    assert err == ""
    assert f"transaction  {sent['hash']}\n" in out
    assert ("reverted, so it did nothing" in out, facts["carriedOut"]) == (reverted, not reverted)
    assert ("it creates a contract" in out) == (sent["to"] is None)
    assert facts["valueWei"] == int(sent["value"], 16)


def _code_hash(told: dict[str, dict[str, dict[str, str]]]) -> str:
    return told["state"]["contract"]["codeHash"]


# --- Files and pins that are none ---


def test_the_configuration_is_enough_and_its_other_sections_are_not_looked_at(
    case: Case, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case.pins.write_text(case.pins.read_text() + "[[chain.nodes]]\nurl = 5\n[meters]\nwrong = true\n[x]\n")

    assert main(["evidence", "verify", str(case.file), "--config", str(case.pins)]) == 0
    assert case.run()[0] == 0
    monkeypatch.setenv("PROSUMER_AGENT__CHAIN__ID", "9")
    assert case.run()[0] == 0, "the environment is this household's, and these pins are somebody's"
    assert main(["evidence", "verify", str(case.file), "--config", str(case.pins)]) == 1
    assert "REFUSED: it is of chain 31337, the pinned one is 9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory); name an evidence file"),
        ("folder", "cannot be read (Is a directory); name an evidence file"),
        (b"", "is no evidence: the file is not JSON"),
        (b"\xff{}", "is no evidence: byte 0 is not ASCII"),
        (b"{}", "is no evidence: the file lacks block, chainId, contract, headers, schema"),
        (b"[" * 1000, "is no evidence: the file has more lists"),
        (b" " * (evidence_file.MOST_BYTES + 1), "is longer than 32 MiB, which no evidence is"),
    ],
)
def test_what_is_no_evidence_is_one_clear_line_and_for_a_program_a_verdict(
    case: Case, content: bytes | str | None, told: str
) -> None:
    case.file.unlink()
    if content == "folder":
        case.file.mkdir()
    elif isinstance(content, bytes):
        case.file.write_bytes(content)
    code, out, err = case.run()

    assert (code, out) == (1, "")
    assert err.startswith(f"prosumer-agent: {case.file}: {told}")
    assert err.count("\n") == 1
    code, out, err = case.run("--json")
    facts = json.loads(out)
    assert (code, err) == (1, "")
    assert facts == {"outcome": "refused", "proves": [], "lacks": facts["lacks"]}
    assert len(facts["lacks"]) == 1
    assert facts["lacks"][0].startswith(f"{case.file}: {told}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory); name the file with --pins"),
        ("", "chain: is missing; right is: a section, as prosumer-operator deploy prints it"),
        ("[chain]\nconsensus = 'raft'", "chain.consensus: is 'raft'"),
        ("[chain]\nepochs = 1", "chain.epochs: is no known key; did you mean 'epoch'?"),
        ("chain", "is not TOML"),
    ],
)
def test_bad_pins_are_told_by_key(case: Case, content: str | None, told: str) -> None:
    case.pins.unlink()
    if content is not None:
        case.pins.write_text(content)
    code, out, err = case.run()

    assert (code, out) == (78, "")
    assert told in err


def test_who_has_no_configuration_is_told_of_both_options(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidence", "verify", str(case.file), "--config", str(case.file.parent / "none")]) == 78
    assert "name the file with --config or --pins" in capsys.readouterr().err


def test_misuse_is_told_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["evidence"], ["evidence", "verify"], ["evidence", "weigh", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert "usage: prosumer-agent evidence" in capsys.readouterr().err


# --- Words ---

SELLER, BUYER = "0x" + "11" * 20, "0x" + "22" * 20
PLACE = events.Place(5, 0, "0x" + "33" * 32, 1_000)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            events.Offered(PLACE, Order(SELLER, 7, 1_500, 9, 86_400)),
            "1.500 kWh at 9 wei/kWh until 1970-01-02 00:00:00Z",
        ),
        (events.Cancelled(PLACE, SELLER, 7, 1_500), f"order 7 of {SELLER} is taken back: 1.500 kWh"),
        (events.Traded(PLACE, Trade(3, SELLER, BUYER, 7, 500, 5, 1, 1_000)), "sold 0.500 kWh of order 7 to"),
        (events.Redeemed(PLACE, BUYER, 40), f"{BUYER} redeemed 0.040 kWh"),
        (events.Enrolled(PLACE, BUYER, 1, 2_000, 3_000, 8_000), "is enrolled with 8000 W, registers 2.000 kWh"),
        (events.MeterReplaced(PLACE, BUYER, MeterRole.PRODUCTION, 9, 1, 2, 5), "the production meter of .* epoch 2"),
        (events.TariffSet(PLACE, 1, 2), "feed-in 1 wei/kWh, retail 2 wei/kWh"),
        (events.ServiceCostSet(PLACE, 4), "service cost: 4 wei/kWh"),
    ],
)
def test_events_are_told_in_words(event: events.MarketEvent, words: str) -> None:
    assert re.search(words, said(event))


@pytest.mark.parametrize(
    ("call", "function", "arguments"),
    [
        (OfferCall(7, 1_500, 9, 86_400), "offer", [7, 1_500, 9, 86_400]),
        (CancelCall(7), "cancel", [7]),
        (BuyCall(SELLER, 7, 500, 9), "buy", [SELLER, 7, 500, 9]),
        (RedeemCall(40), "redeem", [40]),
    ],
)
def test_a_call_is_named_with_its_arguments(call: MarketCall, function: str, arguments: list[object]) -> None:
    market, _ = load_market()
    found = market.called(market.encoded(call))

    assert found is not None
    assert (found[0], list(found[1].values())) == (function, arguments)


def test_calldata_of_anything_else_is_not_named() -> None:
    market, _ = load_market()
    pair = ["0x" + "44" * 32, "0x" + "55" * 20]
    role = market.call("grantRole", bytes.fromhex(pair[0][2:]), pair[1])

    assert market.called(b"") is None
    assert market.called(b"\0\0\0\0") is None
    assert market.called(role[:-1]) is None
    assert market.called(role) == ("grantRole", {"role": pair[0], "account": shown(raw(pair[1]))})
