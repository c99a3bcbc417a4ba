"""What `make release` makes, by the tools of those who take it, built here: `make test-release`, not in CI."""
