"""``python -m agent`` is ``prosumer-agent``."""

from __future__ import annotations

import sys

from agent.programs import household

if __name__ == "__main__":
    sys.exit(household())
