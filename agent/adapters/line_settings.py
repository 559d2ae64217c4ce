"""A configured line as the drivers want it."""

from __future__ import annotations

from agent.domain.lines import Line, SerialLine, TcpLine
from drivers.settings import Framing, LineSettings, RtuSettings, TcpSettings


def line_settings(line: Line) -> LineSettings:
    """The drivers' settings of a line."""
    if isinstance(line, TcpLine):
        return TcpSettings(line.host, line.port, Framing.RTU_OVER_TCP if line.rtu_frames else Framing.TCP)
    return RtuSettings(line.device, line.baud, line.parity, line.stop)


def line_of(settings: LineSettings) -> Line:
    """The line that the drivers' settings describe."""
    if isinstance(settings, RtuSettings):
        return SerialLine(settings.device, settings.baud, settings.parity, settings.stop)
    return TcpLine(settings.host, settings.port, settings.framing is Framing.RTU_OVER_TCP)
