"""What touches the world: meters, journal, keystore, full nodes, broker, clock, systemd."""
