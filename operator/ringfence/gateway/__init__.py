"""The configuration of an agent's egress gateway (Envoy), and its certificates. Pure.

`envoy.files` makes all files from a `model.Gateway`, `problems.problems` says what Envoy would refuse of them,
`certificates` makes the authority and the leaf. Nothing here reads, writes or waits.
"""
