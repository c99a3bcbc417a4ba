"""One AgentPolicy: how many agents it binds, and how many of these no longer fit."""
