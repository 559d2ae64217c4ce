"""What can go wrong between us and a meter, arranged by who has to act.

    MeterError
    ├── RetryableError            nobody: the next cycle tries again, the driver paces itself
    │   ├── NoReplyError          nothing came within the timeout
    │   ├── GarbledReplyError     CRC, length, unit, function, count or transaction do not fit the request
    │   ├── MeterBusyError        the meter answered that it cannot now (exceptions 4, 5, 6, 8)
    │   ├── GatewayError          the gateway could not reach the meter (exceptions 10, 11)
    │   ├── LineLostError         device file gone, EIO, connection refused, reset or unreachable
    │   └── BackingOffError       not tried: a silent meter must not cost the others on its line
    ├── ConfigurationError        the installer: nothing changes until a setting does
    │   ├── RefusedRequestError   illegal function, address or value (exceptions 1, 2, 3)
    │   ├── WrongSettingError     a setting in the meter would make its values wrong
    │   ├── LineSetupError        line settings are impossible, forbidden, or contradict another meter's
    │   ├── ProfileError          a profile file has mistakes; it lists all of them
    │   └── UnknownProfileError   no profile has that name
    └── WrongMeterError           the owner: another meter answers where this one was expected

Every error of pymodbus, pyserial, sockets and the operating system becomes one of these where it enters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class MeterError(Exception):
    """Anything that kept a meter from being read. Messages name meter, line, unit and registers."""


class RetryableError(MeterError):
    """Passes by itself, or once somebody looks at a cable: the next cycle tries again."""


class NoReplyError(RetryableError):
    """Nothing came within the timeout."""


class GarbledReplyError(RetryableError):
    """Bytes came that are not the reply to this request; they were thrown away."""


class MeterBusyError(RetryableError):
    """The meter answered that it cannot serve the request at the moment."""


class GatewayError(RetryableError):
    """A gateway answered in the meter's place: it has no path to the meter, or heard nothing from it."""


class LineLostError(RetryableError):
    """The serial device or the connection is gone; it is opened again at the next attempt."""


class BackingOffError(RetryableError):
    """The meter was not asked, since it kept failing and its pause is not over.

    Attributes:
        remaining_s: seconds until it is asked again.
    """

    def __init__(self, message: str, remaining_s: float) -> None:
        super().__init__(message)
        self.remaining_s = remaining_s


class ConfigurationError(MeterError):
    """Stays wrong until a person changes a setting, here or in the meter."""


class RefusedRequestError(ConfigurationError):
    """The meter does not know the function, the address or the number of registers.

    Attributes:
        code: the Modbus exception code, 1 to 3.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class WrongSettingError(ConfigurationError):
    """Settings inside the meter would make its values mean something else.

    Attributes:
        sentences: one for each wrong setting: what was found, what is right, what to do.
    """

    def __init__(self, message: str, sentences: tuple[str, ...]) -> None:
        super().__init__(message)
        self.sentences = sentences


class LineSetupError(ConfigurationError):
    """The line cannot be opened as it was described."""


class ProfileError(ConfigurationError):
    """A profile file has mistakes.

    Attributes:
        path: the file.
        problems: every mistake found, each beginning with its key.
    """

    def __init__(self, path: Path | str, problems: tuple[str, ...]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.path = path
        self.problems = problems


class UnknownProfileError(ConfigurationError):
    """No profile has the name that was asked for."""


class WrongMeterError(MeterError):
    """The identity that a meter stated, twice, is not the one that was expected.

    Attributes:
        expected: serial number or model code that belongs here.
        found: what the meter stated.
    """

    def __init__(self, message: str, expected: str, found: str) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found
