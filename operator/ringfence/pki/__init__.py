"""What certificates of ours share, admission's and gateways': how they are built and read. Pure."""
