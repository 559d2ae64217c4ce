"""Files of the household: nobody but their owner reads them, and each is the old one or the new one, never a half."""

from __future__ import annotations

import os
from pathlib import Path

from agent.domain.errors import BadRequest
from agent.domain.invoice_document import MOST_BYTES

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Make a folder that nobody else reads, if it is missing.

    Raises:
        BadRequest: it cannot be made.
    """
    try:
        path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"folder {path} cannot be made: {error.strerror}") from error


def write(path: Path, content: bytes) -> None:
    """Write a file, or replace it.

    Args:
        path: where; a folder that is not there may be mistyped, and is not made.
        content: all of it.

    Raises:
        BadRequest: it cannot be written.
    """
    if not path.parent.is_dir():
        raise BadRequest(f"{path} cannot be written: there is no folder {path.parent}; make it, or name another file")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink()
            raise
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> bytes:
    """A file's content, as far as an invoice may go and one byte more.

    Raises:
        BadRequest: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}") from error
