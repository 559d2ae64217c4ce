"""The demonstration: two households, their meters, a chain, a broker and two agents that trade; `make demo`."""
