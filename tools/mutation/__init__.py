"""Mutation runs: whether the tests notice when the product is changed at one point. `python -m tools.mutate`."""
