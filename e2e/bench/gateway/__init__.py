"""What the egress gateway costs, without a cluster: the same host with and without it, in one run."""
