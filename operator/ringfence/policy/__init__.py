"""Decisions. Pure: no kopf, no client, no clock, no network. `decide.decide` is the one entry point."""
