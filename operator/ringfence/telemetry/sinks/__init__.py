"""Consumers of the events of the domain: each module is one. A new consumer is one more."""
