"""What keeps this process's memory, and the files it makes, from other processes of the same machine."""

from __future__ import annotations

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4  # prctl(2)
_PRIVATE_UMASK = 0o077


def close_process() -> bool:
    """No core dump, no other process of the same user looking into memory or environment, new files private.

    To be called before the key is opened, by every command that opens it.

    Returns:
        Whether the kernel agreed; False only where there is no such call (it is Linux's).
    """
    os.umask(_PRIVATE_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    return prctl is not None and prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
