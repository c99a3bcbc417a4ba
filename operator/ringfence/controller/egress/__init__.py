"""What egress gateways tell of the requests that they refused."""
