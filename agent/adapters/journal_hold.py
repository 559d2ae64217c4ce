"""One agent a journal: a second one beside it would give the same nonce to another transaction."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from agent.domain.errors import JournalBusy

FILE_NAME = "agent.lock"
_PID_BYTES = 20


def held(directory: Path) -> bool:
    """Whether an agent holds a journal's directory now.

    Asked with a shared lock that is gone within microseconds. An agent that begins just then would find the directory
    taken and end; its service starts it again.

    Raises:
        JournalBusy: it cannot be looked at.
    """
    path = directory / FILE_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise JournalBusy(f"{path} cannot be looked at ({error.strerror}); run this as the agent's user") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class JournalHold:
    """Holds a journal's directory for this process; the kernel lets go when the process ends, however it ends.

    Args:
        directory: where the journal lives; it must exist.

    Raises:
        JournalBusy: another agent holds it, or the directory cannot be written now.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / FILE_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalBusy(f"{path} cannot be made now ({error.strerror}); it must be writable") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, _PID_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
            self.close()
            raise JournalBusy(
                f"another prosumer-agent (process {holder}) runs with the journal in {directory};"
                " end that one, or name another journal.directory"
            ) from error
        with suppress(OSError):  # on a full disk the number is missing, and the hold is as good
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)
