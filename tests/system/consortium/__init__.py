"""Faults on a consortium of real nodes, one after the other on one house: what it costs to set one up is paid once."""
