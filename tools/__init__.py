"""What the repository is made with: `make generate`."""
