"""What touches the world: meters, journal, keystore, full nodes, broker, clock, systemd."""

from agent.adapters.pairings import leave_pairings

leave_pairings()
