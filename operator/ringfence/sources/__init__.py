"""Where values of secrets come from. Today: made at random. Later: Vault, federation, an issuer."""
