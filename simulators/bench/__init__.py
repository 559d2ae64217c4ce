"""Figures that the project promises, measured: gas, memory, processor, bytes written, latency.

`python -m simulators.bench --help`. The agent is measured from outside, as the process that it is; what needs one
of its rooms alone (a driver, the keystore) runs in an interpreter of its own.
"""
