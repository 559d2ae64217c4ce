"""What can be checked of a chain without trusting who tells it: no input, no output."""
