"""What the distribution company and the registration office run, one file a command."""
