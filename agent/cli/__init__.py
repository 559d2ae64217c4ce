"""The household's command line: it says in words what the other rooms know, and decides nothing about energy."""
