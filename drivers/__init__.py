"""Electricity meters read over Modbus, each read guarded so that a value is the meter's own or is not there.

This package imports nothing of the agent. Start at `drivers.opening.open_meter`; a meter's registers are a
TOML file in `drivers/models` or in the installer's own folder (README.md beside those files).
"""
