"""What the demo, the bench and the suites share: a cluster to work on, Ringfence on it, agents, and what they reach."""
