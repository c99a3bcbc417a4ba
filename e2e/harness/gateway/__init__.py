"""An egress gateway without a cluster: Envoy, a pretend internet and its DNS, in a network namespace of their own."""
