"""The journal's forms, one numbered SQL script each; `agent.adapters.journal` carries them out in order."""
