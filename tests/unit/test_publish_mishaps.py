"""Whatever goes wrong, and in whatever order, the collector ends with the journal (I4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.publish_house import START_S, House, key, sealed


def _restart(house: House) -> None:
    house.broker.reconnect()
    house.restart()


def _wait(house: House) -> None:
    house.clock.seconds += 30.0


def _seal(house: House) -> None:
    number = sum(key(one)[0] == 2 for one in house.journal.sealed) + 1
    house.journal.sealed.append(sealed(number, epoch=2, taken_at=START_S + 5))


def _busy(house: House) -> None:
    house.journal.busy = not house.journal.busy


def _hostile(house: House) -> None:
    house.broker.acknowledgements.append(b'{"epoch":200,"sequence":1}')


def _collector_acknowledges(house: House) -> None:
    """Up to the first reading that is missing, as a sound collector does."""
    have = {*house.broker.readings()}
    mark = None
    for one in house.journal.sealed:
        if key(one) not in have:
            break
        mark = key(one)
    if mark is not None:
        house.acknowledge(*mark)


_MISHAPS = {
    "deliver": lambda house: house.broker.deliver(),
    "forget": lambda house: house.broker.confirm_and_forget(),
    "reconnect": lambda house: house.broker.reconnect(),
    "lose": lambda house: house.broker.lose(),
    "restart": _restart,
    "acknowledge": _collector_acknowledges,
    "wait": _wait,
    "seal": _seal,
    "busy": _busy,
    "hostile": _hostile,
}


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(_MISHAPS)), max_size=40), st.integers(1, 9), st.integers(1, 4))
def test_collector_ends_with_the_journal(mishaps: list[str], window: int, per_run: int) -> None:
    house = House(readings=6, acknowledged=True, window=window, per_run=per_run, replay_after_s=20.0)
    for mishap in mishaps:
        _MISHAPS[mishap](house)
        house.turn()
    house.journal.busy = False
    house.broker.reconnect()
    for _ in range(60):
        house.turn(5.0)
        house.broker.deliver()
        _collector_acknowledges(house)
    house.turn()

    assert {*house.broker.readings()} == {key(one) for one in house.journal.sealed}
    assert house.journal.mark == key(house.journal.sealed[-1])
