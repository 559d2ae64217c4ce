"""The household's edge light-node agent."""
