"""Egress by name, through the real Envoy."""
