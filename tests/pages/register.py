"""Which page's commands are run where, and why the others are not."""

from fnmatch import fnmatch

OFFLINE = ("README.md", "docs/how-to/bring-an-agent.md")
"""Run by tests/unit/pages: no cluster is needed."""

CLUSTER = (
    "docs/how-to/open-a-namespace.md",
    "docs/how-to/allow-a-host.md",
    "docs/how-to/write-a-policy.md",
    "docs/how-to/gitops.md",
    "docs/how-to/rotate-a-key.md",
    "docs/how-to/break-glass.md",
    "docs/how-to/upgrade.md",
    "docs/how-to/uninstall.md",
)
"""Run by e2e/suites/docs in this order, on a cluster with Ringfence; the last leaves it without."""

FROM_NOTHING = "docs/tutorial.md"
"""Run there, too, on a machine without a cluster."""

READ_ONLY = {
    "docs/how-to/undeletable-floor.md": "for an API server's host; tests/chart/guards/test_static_floor.py does what "
    "it says",
    "docs/how-to/permissions-in-other-namespaces.md": "two teams' namespaces; tests/api/controller/test_elsewhere.py "
    "does what it says",
    "docs/how-to/run-once-or-nightly.md": "what it shows is of some night; e2e/suites/agents/test_runs.py does "
    "what it says",
    "docs/how-to/trust-the-gateway.md": "tests/gateway/test_clients.py and test_tunnel.py do what it says",
    "docs/how-to/secret-never-seen.md": "needs accounts; e2e/suites/egress/test_secrets.py does what it says",
    "docs/how-to/cloud-identity.md": "needs a cloud; e2e/suites/agents/test_fields.py looks at the token",
    "docs/how-to/make-a-release.md": "minutes, and a registry; e2e/suites/chart/test_published.py does what it says",
    "docs/how-to/corporate-proxy.md": "needs a proxy; tests/gateway/test_upstream.py does what it says",
    "docs/how-to/air-gapped.md": "needs a mirror; tests/chart/test_values.py does what it says",
    "docs/how-to/give-a-team-its-agents.md": "needs people; tests/chart/test_applied.py does what it says",
    "docs/how-to/signed-images.md": "needs cosign; tests/unit/policy/test_signatures.py verifies what it wrote",
    "docs/runbooks/*.md": "for troubles that a test would have to make; tests/monitoring asks for one for each alert",
    "docs/reference/cli.md": "examples of --help; tests/unit/pages has click read each",
    "e2e/catalogue/README.md": "for clusters of others; tests/chart/test_catalogue.py runs what it runs",
    "e2e/cluster/README.md": "what the cluster can do; e2e/suites/cluster tries it",
}
"""Pages whose commands are not run, as patterns, and why."""

NOT_RUN = {
    FROM_NOTHING: {
        "apt-get install -y git make python3 python3-venv": "changes the machine",
        "git clone https://git.example/your-copy-of/ringfence && cd ringfence": "a placeholder",
    },
    "docs/how-to/gitops.md": {
        "helm template ringfence-crds charts/ringfence-crds | kubectl apply --server-side -f -": "tests/chart does",
        "kubectl create namespace ringfence-system": "the tutorial does",
        "helm template ringfence charts/ringfence -n ringfence-system --no-hooks --skip-tests -f values.yaml |"
        " kubectl apply --server-side -f -": "tests/chart/test_applied.py does",
    },
    "README.md": {
        "make demo": "e2e/suites/agents/test_demo.py runs what it runs",
        "make image": "the tutorial does",
        "helm install ringfence-crds charts/ringfence-crds": "the tutorial does",
        "kubectl create namespace ringfence-system": "the tutorial does",
        "kubectl label namespace ringfence-system pod-security.kubernetes.io/enforce=restricted": "the tutorial does",
        "helm install ringfence charts/ringfence -n ringfence-system --set"
        " image.repository=registry.example/platform/ringfence --set image.digest=sha256:…": "needs a registry; "
        "e2e/suites/chart does it with a digest",
        "kubectl label namespace research ringfence.dev/agents=enabled": "docs/how-to/open-a-namespace.md does",
        "kubectl apply -f examples/": "e2e/suites/agents does, with an image that is there",
        "kubectl get agd -A": "docs/how-to/upgrade.md does",
        "make test": "CI does",
        "make help": "nothing to check: its lines are the Makefile's",
    },
    "docs/how-to/bring-an-agent.md": {
        "ringfence init --from deploy/bot -n chat > bot.yaml": "tests/api/test_cli.py does",
        "helm template acme/bot | ringfence init --from - --pick deployment/bot > bot.yaml": "a placeholder",
        "ringfence init > agent.yaml": "asks a person; tests/unit/cli/test_init.py answers",
        "ringfence init bot --image registry.example/acme/bot@sha256:... --reach search.tools:8443 --secret"
        " API_KEY=provider/key": "a placeholder; tests/unit/cli/test_init.py does it with a digest",
    },
    "CONTRIBUTING.md": {
        "make setup": "CI does",
        "make lint": "CI does",
        "make test-unit": "CI does, and this test is a part of it",
        "make test-api": "CI does",
        "make test-e2e": "CI does",
        "make test-gateway": "CI does",
        "make test": "CI does",
        "make bench": "some minutes, and figures that a busy machine spoils",
        "make mutate": "some minutes, and a number to think about: tests/unit/tools/test_mutate.py tries its parts",
        "make mutate-guards": "most of an hour: tests/unit/tools/test_mutate_guards.py tries its parts",
        "make test-cert-manager": "minutes, with a cert-manager that it builds: docs/reference/clusters.md",
        "make test-release": "minutes, with tools that it builds: docs/how-to/make-a-release.md says what was seen",
        "make test-versions": "hours, with API servers that it builds: docs/reference/clusters.md says what was seen",
        "make property": "a million cases; tests/unit/policy/test_properties.py tries some thousand",
        "make fuzz": "some minutes; tests/unit/fuzzing tries the corpus",
        "make catalogue": "writes into the checkout; tests/chart/test_catalogue.py runs what it runs",
        "make release": "minutes, and a key: e2e/suites/chart/test_published.py makes two",
        "make generate": "writes into the checkout; CI runs make check-generated",
    },
    "charts/ringfence/README.md": {
        "helm install ringfence-crds charts/ringfence-crds": "the tutorial does",
        "kubectl create namespace ringfence-system": "the tutorial does",
        "kubectl label namespace ringfence-system pod-security.kubernetes.io/enforce=restricted": "the tutorial does",
        "helm install ringfence charts/ringfence -n ringfence-system --set image.repository=... --set"
        " image.digest=sha256:...": "a placeholder; e2e/suites/chart does it",
        "helm test ringfence -n ringfence-system": "docs/how-to/upgrade.md does",
    },
}
"""Page -> command, as a line without what continues it and without comments -> why it is not run."""


def read_only(path: str) -> bool:
    """Whether no command of a page is run."""
    return any(fnmatch(path, pattern) for pattern in READ_ONLY)
