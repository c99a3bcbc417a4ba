"""Hosts with a key, and the agent's placeholder for it."""

from ringfence.gateway.model import Host, HostSecret, Place, Rule

PLACEHOLDER = "rf-placeholder-0123456789abcdef"
REAL = "sk-real-key-9876543210-fedcba"
KEY = HostSecret("llm/token", PLACEHOLDER, (Place("x-api-key"), Place("authorization", "Bearer")))
RULES = (Rule(("POST",), ("/v1/messages",)), Rule(("GET",), ("/any/*", "/ws")))
HOST = Host("api.llm.test", rules=RULES, secret=KEY)
