"""When a household has fallen silent."""

from __future__ import annotations

from enum import StrEnum

PERIODS = 3
"""Readings come each period; a line that is down for an hour is no household that fell silent."""


class Quiet(StrEnum):
    """Why a household counts as silent."""

    OFFLINE = "offline"
    """its agent said goodbye, or the broker lost it and sent its last will, a period ago"""
    NO_READING = "no_reading"
    """no new reading for some periods, though nothing says that it is offline"""


def quiet(now: int, heard_at: int, period_s: int, offline_since: int | None, periods: int = PERIODS) -> Quiet | None:
    """Whether a household is silent, and why.

    Args:
        now: UTC epoch seconds.
        heard_at: when its last reading came, or when this collector began to listen, the later of both.
        period_s: its reporting period, seconds.
        offline_since: since when its status is offline; None if it is online or never said so.
        periods: so many of its reporting periods it may let pass without a reading.
    """
    if offline_since is not None and now - offline_since >= period_s:
        return Quiet.OFFLINE
    return Quiet.NO_READING if now - heard_at >= periods * period_s else None
