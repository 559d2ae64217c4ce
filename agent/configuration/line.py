"""A meter's line as an installer writes it: ``tcp://``, ``rtu://`` or ``rtu-over-tcp://``."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

from agent.domain.lines import MODBUS_PORT, Line, SerialLine, TcpLine

_BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
_PARITIES = ("N", "E", "O")
_STOPS = (1, 2)
_FORMS = (
    "right are tcp://HOST:PORT, rtu-over-tcp://HOST:PORT and rtu:///dev/serial/by-id/NAME?baud=9600&parity=N&stop=1"
)


def parse_line(text: str) -> Line:
    """Read a line's address.

    Raises:
        ValueError: it is not one; the message says what would be right.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address of a line ({error}); {_FORMS}") from None
    match parts.scheme:
        case "tcp" | "rtu-over-tcp":
            if not parts.hostname or port == 0 or parts.path not in {"", "/"} or parts.query or parts.username:
                raise ValueError(f"{text!r} needs a host, a port and nothing else; {_FORMS}")
            return TcpLine(parts.hostname, MODBUS_PORT if port is None else port, parts.scheme == "rtu-over-tcp")
        case "rtu":
            return _serial(text, parts)
        case _:
            raise ValueError(f"{text!r} does not say how the meter is reached; {_FORMS}")


def _serial(text: str, parts: SplitResult) -> SerialLine:
    if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
        raise ValueError(f"{text!r} needs three slashes and the path of a device; {_FORMS}")
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(settings.keys() - {"baud", "parity", "stop"})
    if unknown:
        raise ValueError(f"{text!r} has the unknown setting {unknown[0]!r}; baud, parity and stop are known")
    parity = settings.get("parity", "N").upper()
    if parity not in _PARITIES:
        raise ValueError(f"{text!r} has parity {parity!r}; N, E or O is right")
    return SerialLine(
        parts.path,
        _one_of(text, settings, "baud", _BAUDS, 9600),
        parity,
        _one_of(text, settings, "stop", _STOPS, 1),
    )


def _one_of(text: str, settings: dict[str, str], name: str, right: tuple[int, ...], default: int) -> int:
    stated = settings.get(name, str(default))
    if stated not in {str(value) for value in right}:
        raise ValueError(f"{text!r} has {name} {stated!r}; right are {', '.join(map(str, right))}")
    return int(stated)
