"""What the bench makes of a log, of the kernel's counters and of bytes written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.bench.disk import YEAR_S, Pace, Written, age_log, log_bytes, year_bytes
from simulators.bench.figures import BenchError
from simulators.bench.latency import final_after, latencies
from simulators.bench.market import House
from simulators.bench.process_cost import Standing, cpu_seconds, named
from simulators.bench.traffic import Traffic
from simulators.ledger import Mined

END = 1_782_104_400


def mined(taken_at: int, transaction: str) -> Mined:
    return Mined(1, 1, taken_at, 0, 0, 0, block=1, transaction=transaction)


def sent(tx_hash: str, at: str) -> dict[str, object]:
    return {"event": "transaction.sent", "tx_hash": tx_hash, "at": at}


def closed(end: int) -> dict[str, object]:
    return {"event": "interval.closed", "interval_end": end, "at": "2026-06-22T05:00:00.2Z"}


def test_a_latency_runs_from_the_interval_s_end_to_the_first_acceptance_of_what_carried_it() -> None:
    lines = [
        closed(END),
        sent("0xa", "2026-06-22T05:00:00.350000Z"),
        sent("0xa", "2026-06-22T05:09:00.000000Z"),  # sent again
        closed(END + 900),
        closed(END + 1800),
        {"event": "agent.started", "at": "2026-06-22T05:16:00Z"},
        sent("0xb", "2026-06-22T05:30:01.500000Z"),  # both in one
        closed(END + 2700),  # not mined yet
    ]
    chain = [mined(END, "0xa"), mined(END + 901, "0xb"), mined(END + 1799, "0xb")]
    assert latencies(lines, chain, 900) == pytest.approx([0.35, 901.5, 1.5])


def test_recovery_ends_with_the_first_final_reading_that_was_taken_after_the_fault() -> None:
    lines = [
        {"event": "transaction.final", "tx_hash": name, "at": f"2026-06-22T05:00:{second}Z"}
        for name, second in (("0xa", "09.5"), ("0xb", "12.5"), ("0xc", "17.0"))
    ]
    chain = [mined(END + 5, "0xa"), mined(END + 10, "0xb"), mined(END + 15, "0xc")]

    assert final_after(lines, chain, END + 7) == pytest.approx(5.5)
    assert final_after(lines, chain, END + 15) is None


def test_processor_time_is_found_behind_a_name_with_blanks_and_brackets() -> None:
    fields = ["S", *map(str, range(1, 11)), "250", "50", "7", "7"]
    assert cpu_seconds(f"42 (a ) b (c) {' '.join(fields)}", ticks=100) == 3.0


def test_processor_use_is_a_share_of_the_time_between() -> None:
    before = Standing(at=10, cpu_s=1.0, rss_mib=1, pss_mib=1, peak_mib=1, threads=1)
    after = Standing(at=70, cpu_s=2.8, rss_mib=1, pss_mib=1, peak_mib=1, threads=1)
    assert after.cpu_percent_since(before) == pytest.approx(3.0)


def test_lines_of_proc_are_found_by_name() -> None:
    text = "7f00-7fff ---p 00000000 00:00 0    [rollup]\nRss:      82944 kB\nThreads:\t12\nName:\tpython3\n"
    assert named(text) == {"Rss": 82_944, "Threads": 12}


def test_a_window_s_pace_is_per_second() -> None:
    assert Pace.between(Written(5, 1_000, 100), Written(15, 3_000, 600)) == Pace(200, 50)


def test_a_log_that_began_anew_is_not_taken_for_growth() -> None:
    with pytest.raises(BenchError, match="shrank from 600 to 100"):
        Pace.between(Written(5, 1_000, 600), Written(15, 3_000, 100))


def test_a_year_is_what_is_always_written_and_what_each_interval_adds() -> None:
    # 10 B/s always; an interval each 60 s adds 1,200 B to the disk, of which 600 B are log, copied once more at half.
    year = year_bytes(Pace(30, 10), 60, Pace(10, 0), 900, checkpoint=0.5)
    assert year == pytest.approx((10 + (20 + 5) * 60 / 900) * YEAR_S)


def test_an_interval_that_was_lost_in_noise_adds_nothing() -> None:
    assert year_bytes(Pace(9, 0), 60, Pace(10, 0), 900, 0) == pytest.approx(10 * YEAR_S)


def test_a_log_in_use_is_told_from_what_an_older_one_left_behind(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.sqlite", tmp_path / "journal.sqlite-wal"
    assert log_bytes(log) == 0

    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(journal, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    first = opened()
    first.execute("CREATE TABLE fact (value TEXT)")
    first.close()
    age_log(log)
    size = log.stat().st_size
    assert log_bytes(log) == 0
    second = opened()
    grown = [second.execute("INSERT INTO fact VALUES ('x')") and log_bytes(log) for _ in range(3)]
    assert grown == [4_120, 8_240, 12_360]
    second.execute("PRAGMA wal_checkpoint(RESTART)")
    second.execute("INSERT INTO fact VALUES ('y')")
    assert log_bytes(log) == 4_120
    assert log.stat().st_size == size
    second.close()


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 2), st.integers(1, 86_400))
def test_at_the_measured_period_nothing_is_extrapolated(always: float, more: float, copied: float, period: int) -> None:
    busy, idle = Pace(always + more, more), Pace(always, 0)
    expected = (busy.disk + busy.log * copied) * YEAR_S
    assert year_bytes(busy, period, idle, period, copied) == pytest.approx(expected)


def test_traffic_is_told_apart_by_moments() -> None:
    assert Traffic(10, 20, 3) - Traffic(1, 2, 1) == Traffic(9, 18, 2)


def test_a_reading_s_word_has_its_fields_where_the_contract_looks_for_them() -> None:
    from eth_account import Account  # noqa: PLC0415 - a second to import, for one test

    house = House(Account.from_key(b"\x01" * 32), produced_wh=7, consumed_wh=9, taken_at=END, sequence=4, epoch=2)
    word = house.read(3, 1)
    fields = [(0, 40), (40, 40), (80, 32), (112, 24), (136, 8), (144, 112)]
    assert [word >> at & (1 << bits) - 1 for at, bits in fields] == [10, 10, END + 900, 5, 2, 0]
    assert house.slot == "0x" + "0" * 23 + "1" + house.address[2:].lower()
