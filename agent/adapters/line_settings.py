"""A configured line as the drivers want it."""

from __future__ import annotations

from agent.domain.lines import Line, TcpLine
from drivers.settings import Framing, LineSettings, RtuSettings, TcpSettings


def line_settings(line: Line) -> LineSettings:
    """The drivers' settings of a line."""
    if isinstance(line, TcpLine):
        return TcpSettings(line.host, line.port, Framing.RTU_OVER_TCP if line.rtu_frames else Framing.TCP)
    return RtuSettings(line.device, line.baud, line.parity, line.stop)
