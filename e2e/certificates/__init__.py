"""`certificates: cert-manager` with cert-manager's own controllers, built here: `make test-cert-manager`, not in CI."""
