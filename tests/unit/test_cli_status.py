"""``status``: the agent at one glance, on one screen and for a program."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from agent.cli import status, table
from agent.domain.attested import Attested
from agent.domain.lies import Lie
from agent.domain.market import Head, HouseholdState, Parameters
from agent.domain.outbox import State
from agent.domain.readings import ReadingState
from agent.domain.registers import Discontinuity, RegisterState, Suspicion
from agent.domain.samples import MeterRole
from agent.domain.telemetry import JournalEvent
from tests.fakes.logs import place
from tests.unit.test_cli_screens import configuration


@dataclass(frozen=True)
class Seen:
    epoch: int = 1
    registers: dict[MeterRole, RegisterState] = field(
        default_factory=lambda: {
            MeterRole.PRODUCTION: RegisterState(raw_wh=1500, at_ms=1_782_104_400_000),
            MeterRole.CONSUMPTION: RegisterState(),
        }
    )
    running: bool = True
    newest_minute: int | None = 1_000_000
    readings: dict[ReadingState, int] = field(default_factory=lambda: {ReadingState.FINAL: 3})
    entries: dict[State, int] = field(default_factory=dict)
    halted: str | None = None
    parameters: Parameters | None = None
    household: tuple[HouseholdState, Head] | None = None
    telemetry_mark: tuple[int, int] = (0, 0)
    events: list[JournalEvent] = field(default_factory=list)
    lies: list[Lie] = field(default_factory=list)
    attested: Attested | None = None


NOW = 1_000_090


def test_status_is_one_screen() -> None:
    screen = status.told(Seen(), configuration(), NOW)

    assert len(screen.splitlines()) <= 24
    assert "unproven" in screen
    assert "1.500 kWh at 2026-06-22 05:00:00Z" in screen
    assert "no register yet" in screen
    assert "3 final" in screen
    assert "is writing its journal" in screen


def test_status_notices_an_agent_that_stopped() -> None:
    assert "HAS WRITTEN NOTHING FOR 2 h" in status.told(Seen(), configuration(), NOW + 7_200)
    dead = status.told(replace(Seen(), running=False), configuration(), NOW)
    assert "IS NOT RUNNING; it wrote last at 1970-01-12 13:47:40Z; start it" in dead
    assert "IS NOT RUNNING; start it" in status.told(
        replace(Seen(), running=False, newest_minute=None), configuration(), NOW
    )
    assert "no minute row yet" in status.told(replace(Seen(), newest_minute=None), configuration(), NOW)


def test_status_shows_a_halt_and_how_to_go_on() -> None:
    assert "keys resume" in status.told(replace(Seen(), halted="nonce 5 is foreign"), configuration(), NOW)


def test_status_shows_what_is_held() -> None:
    held = RegisterState(raw_wh=1500, suspicion=Suspicion(Discontinuity.FELL, 3, None, 0, 0, 1))

    screen = status.told(replace(Seen(), registers={MeterRole.PRODUCTION: held}), configuration(), NOW)

    assert "HELD: it fell to 0.003 kWh" in screen


def test_status_shows_the_chains_side() -> None:
    state = HouseholdState(
        enrolled=True, active=False, epoch=2, sequence=9, taken_at=1, produced_wh=1, consumed_wh=2, tokens_wh=3,
        rated_power_w=4,
    )  # fmt: skip
    seen = replace(
        Seen(),
        household=(state, Head(77, "0x", 1)),
        parameters=Parameters(900, 1, 1, 1, paused=True),
        telemetry_mark=(2, 8),
    )

    screen = status.told(seen, configuration(enabled=True, host="127.0.0.1"), NOW)

    assert "SUSPENDED, epoch 2, reading 9: produced 0.001 kWh" in screen
    assert "PAUSED, a reading every 900 s" in screen
    assert "the broker took everything up to epoch 2, reading 8" in screen
    not_enrolled = replace(seen, household=(replace(state, enrolled=False), Head(77, "0x", 1)))
    assert "prosumer-agent enrol" in status.told(not_enrolled, configuration(), NOW)


def test_status_for_a_program_names_every_fact() -> None:
    state = HouseholdState(
        enrolled=True, active=True, epoch=2, sequence=9, taken_at=1, produced_wh=1, consumed_wh=2, tokens_wh=3,
        rated_power_w=4,
    )  # fmt: skip

    stated = json.loads(
        table.as_json(
            status.facts(replace(Seen(), household=(state, Head(77, "0x", 1)), telemetry_mark=(2, 8)), configuration())
        )
    )

    assert stated["household"]["tokensWh"] == 3
    assert stated["block"]["number"] == 77
    assert stated["telemetryMark"] == {"epoch": 2, "sequence": 8}
    unknown = status.facts(Seen(), configuration())
    assert unknown["household"] is None
    assert unknown["telemetryMark"] is None


def test_status_shows_the_newest_warnings() -> None:
    event = JournalEvent(
        1, 1_782_104_400, "meter.lost", "warning", {"meter": "production", "advice": "look at the cable"}
    )

    assert "meter.lost production  look at the cable" in status.told(
        replace(Seen(), events=[event]), configuration(), NOW
    )


def test_status_shows_which_nodes_were_caught_lying_and_until_when_they_are_not_asked() -> None:
    lies = [
        Lie(NOW - 60, NOW + 3_600, "a:8545", "tehran-03", "its seal is nobody's", '{"number":"0x1"}'),
        Lie(NOW - 9_999, NOW - 1, "b:8545", "tehran-04", "the proof leads nowhere", "[]"),
    ]

    screen = status.told(replace(Seen(), lies=lies), configuration(), NOW)

    assert f"a:8545     {table.moment(NOW + 3_600)}  its seal is nobody's" in screen
    assert "b:8545     asked again           the proof leads nowhere" in screen
    stated = json.loads(table.as_json(status.facts(replace(Seen(), lies=lies), configuration())))
    assert stated["lies"][0]["told"] == '{"number":"0x1"}', "for the distribution company"


def test_status_says_how_far_the_ledger_is_proven_where_something_is() -> None:
    proving = configuration()
    proving = proving.model_copy(update={"chain": proving.chain.model_copy(update={"unproven": False})})
    told = frozenset({place(7), place(5)})
    wrong = "of order 7 the ledger leaves 850 Wh and the contract 250 Wh"
    for attested, said in (
        (Attested(frozenset(), None, ""), "every event is proven; that no sale is missing is not proven yet"),
        (Attested(frozenset(), 60, ""), "no sale of your orders is missing is proven up to block 60"),
        (Attested(told, 60, ""), "2 event(s) are only what full nodes say; that no sale"),
        (Attested(told, 60, wrong), f"NOT PROVEN: {wrong}; 2 event(s)"),
    ):
        seen = replace(Seen(), attested=attested)
        assert said in status.told(seen, proving, NOW)
        assert "own trades" not in status.told(seen, configuration(), NOW), "a development chain proves nothing"
        stated = json.loads(table.as_json(status.facts(seen, proving)))["attested"]
        assert (stated["salesTo"], stated["wrong"]) == (attested.sales_to, attested.wrong or None)
        assert [one["block"] for one in stated["toldOnly"]] == ([5, 7] if attested.told else [])
    assert status.facts(replace(Seen(), attested=Attested(told, 60, wrong)), configuration())["attested"] is None
