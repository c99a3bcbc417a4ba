"""What a reader of a page has before he begins, and what has happened to him when he comes to a section."""

IMAGE = f"registry.example/acme/agent@sha256:{'0' * 64}"
"""What pages call the agent's image."""
POLICIES = "kubectl delete agp --all"


def opened(namespace: str) -> str:
    """A namespace that is open to agents, and nothing in it."""
    return f"""
kubectl get namespace {namespace} || kubectl create namespace {namespace}
kubectl label namespace {namespace} ringfence.dev/agents=enabled --overwrite
kubectl delete agd --all -n {namespace}
kubectl delete rolebindings ringfence-secrets -n {namespace} --ignore-not-found
kubectl wait networkpolicies,pods -l ringfence.dev/agent -n {namespace} --for=delete --timeout=180s
kubectl delete secrets --all -n {namespace}
"""


def agents(namespace: str, *names: str) -> str:
    """Agents that run, with one network to reach."""
    manifests = "\n---\n".join(
        f"""apiVersion: ringfence.dev/v1alpha1
kind: AgentDeployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  image: {IMAGE}
  args: [agent]
  network: {{egress: [{{cidr: 203.0.113.0/28, ports: [443]}}]}}"""
        for name in names
    )
    return f"""
kubectl apply -f - <<EOF
{manifests}
EOF
kubectl wait agd --all -n {namespace} --for=condition=Ready --timeout=90s
"""


PERMISSIVE = """
kubectl apply -f - <<EOF
apiVersion: ringfence.dev/v1alpha1
kind: AgentPolicy
metadata: {name: team-a}
spec: {egress: {cidrs: [203.0.113.0/28], maxPublicAddresses: 16}}
EOF
"""
SECRETS = """
kubectl create rolebinding ringfence-secrets --clusterrole=ringfence-secrets \
  --serviceaccount=ringfence-system:ringfence-controller -n team-a
"""
TOOLS = """
kubectl apply -f examples/10-tools.yaml
kubectl set image -n tools deploy/search "*=IMAGE"
kubectl rollout status -n tools deploy/search --timeout=90s
""".replace("IMAGE", IMAGE)
OUTAGE = """
kubectl delete deployment ringfence-controller ringfence-admission ringfence-canary -n ringfence-system
kubectl delete pods -n ringfence-system -l app.kubernetes.io/component=admission --grace-period=0 --force
kubectl wait pods --all -n ringfence-system --for=delete --timeout=180s
while kubectl label agd steady -n team-a outage=begins --dry-run=server; do sleep 0.2; done
"""

BEFORE = {
    "docs/how-to/open-a-namespace.md": "kubectl delete namespace team-a --ignore-not-found",
    "docs/how-to/allow-a-host.md": opened("team-a") + TOOLS,
    "docs/how-to/write-a-policy.md": "kubectl delete namespace team-b --ignore-not-found",
    "docs/how-to/gitops.md": "kubectl delete namespace team-c --ignore-not-found",
    "docs/how-to/rotate-a-key.md": opened("team-a") + SECRETS,
    "docs/how-to/break-glass.md": opened("team-a") + PERMISSIVE + agents("team-a", "researcher", "forger", "steady"),
    "docs/how-to/upgrade.md": opened("team-a") + PERMISSIVE + agents("team-a", "researcher"),
    "docs/how-to/uninstall.md": opened("team-a") + SECRETS + PERMISSIVE + agents("team-a", "researcher"),
}
"""Page -> what makes its beginning."""

AT = {("docs/how-to/break-glass.md", "While Ringfence is down"): OUTAGE}
"""Page and section -> what has happened when the reader comes there."""
