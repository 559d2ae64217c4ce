"""What is sent again, and what never is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.domain.replay import Replay


def _filled(*, acknowledged: bool, count: int = 4) -> Replay:
    replay = Replay(window=8, replay_after_s=10.0, acknowledged=acknowledged)
    for number in range(1, count + 1):
        replay.sent((1, number), token=number, now=0.0)
    return replay


def test_puback_holds_in_order_without_a_collector() -> None:
    replay = _filled(acknowledged=False)

    assert replay.taken(2, now=1.0)
    assert replay.held == (0, 0)
    assert replay.taken(1, now=1.0)
    assert replay.held == (1, 2)
    assert replay.after == (1, 4)
    assert not replay.taken(99, now=1.0)


def test_puback_is_no_delivery_with_a_collector() -> None:
    replay = _filled(acknowledged=True)
    for token in range(1, 5):
        replay.taken(token, now=1.0)

    assert replay.held == (0, 0)
    assert not replay.untaken
    replay.go_back()
    assert replay.after == (0, 0)


def test_collector_holds_up_to_its_mark() -> None:
    replay = _filled(acknowledged=True)

    assert replay.hold((1, 3), now=5.0)
    assert not replay.hold((1, 2), now=5.0)
    assert (replay.held, replay.after, replay.room) == ((1, 3), (1, 4), 7)


def test_refusal_sends_again_from_there() -> None:
    replay = _filled(acknowledged=False)
    replay.taken(1, now=1.0)

    assert replay.refused(3)
    assert not replay.refused(3)
    assert replay.after == (1, 2)


def test_window_bounds_what_is_under_way() -> None:
    assert _filled(acknowledged=True, count=8).room == 0


def test_overdue_doubles_while_it_bears_no_fruit() -> None:
    replay = _filled(acknowledged=True)

    assert not replay.overdue(9.9)
    assert replay.overdue(10.0)
    replay.go_back(fruitless=True)
    assert not replay.overdue(100.0), "nothing is under way"
    replay.sent((1, 1), token=9, now=100.0)
    assert not replay.overdue(119.9)
    assert replay.overdue(120.0)
    replay.hold((1, 1), now=121.0)
    replay.sent((1, 2), token=10, now=121.0)
    assert replay.overdue(131.0), "progress ends the doubling"


@given(
    st.lists(st.tuples(st.sampled_from(["send", "take", "refuse", "hold", "back"]), st.integers(0, 30))), st.booleans()
)
def test_never_beyond_what_was_sent_and_never_backwards(steps: list[tuple[str, int]], acknowledged: bool) -> None:
    replay = Replay(window=5, replay_after_s=1.0, acknowledged=acknowledged)
    token = 0
    for now, (step, number) in enumerate(steps):
        held = replay.held
        match step:
            case "send" if replay.room:
                token += 1
                replay.sent((1, replay.after[1] + 1), token, float(now))
            case "take":
                replay.taken(number, float(now))
            case "refuse":
                replay.refused(number)
            case "hold" if acknowledged and (1, number) <= replay.highest:
                replay.hold((1, number), float(now))
            case "back":
                replay.go_back()
        assert held <= replay.held <= replay.after <= replay.highest
        assert 0 <= replay.room <= 5
