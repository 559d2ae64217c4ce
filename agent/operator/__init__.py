"""What the distribution company and the registration office run: deploy, approve, parameters."""
