"""What `helm test` runs: every replica is ready, admission is registered as installed, a bad AgentDeployment is refused.

Arguments: the release namespace, the namespace of the (dry-run) AgentDeployment, the pods' label selector.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
OTHERWISE = "FAILED: admission is not registered as installed: see the log of the controller"
NOBODY = "FAILED: no controller leads: nobody knows whether admission is registered"
DIRECT = urllib.request.ProxyHandler({})


def api(path, body=None):
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    with open(f"{FOLDER}/token") as token:
        headers = {"Authorization": f"Bearer {token.read()}", "Content-Type": "application/json"}
    host = f"[{host}]" if ":" in host else host
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"https://{host}:{port}{path}", data=data, headers=headers)
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=f"{FOLDER}/ca.crt"))
    with urllib.request.build_opener(DIRECT, tls).open(request, timeout=15) as answer:
        return json.load(answer)


def ready(address):
    host = f"[{address}]" if ":" in address else address
    try:
        urllib.request.build_opener(DIRECT).open(f"http://{host}:8080/readyz", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.read().decode(errors="replace").strip()
    except OSError as error:
        return str(error)
    return None


def replicas(namespace, selector):
    """How many pods are ready; exits when some are not within a minute."""
    query = urllib.parse.urlencode({"labelSelector": selector})
    deadline = time.monotonic() + 60
    while True:
        pods = api(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
        pods = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        missing = {pod["metadata"]["name"]: ready(pod["status"].get("podIP") or "0.0.0.0") for pod in pods}
        missing = {name: why for name, why in missing.items() if why}
        if pods and not missing:
            return sorted(pod["metadata"]["name"] for pod in pods)
        if time.monotonic() > deadline:
            sys.exit(f"FAILED: not ready: {missing or 'there is no pod'}")
        time.sleep(1)


def registered(namespace, selector):
    """Waits until the leading controller knows that admission is registered as installed; exits when it is not."""
    query = urllib.parse.urlencode({"labelSelector": f"{selector},app.kubernetes.io/component=controller"})
    deadline = time.monotonic() + 60
    while True:
        pods = api(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
        said = {value for pod in pods for value in in_force(pod["status"].get("podIP") or "0.0.0.0")}
        if said == {1.0}:
            return
        if time.monotonic() > deadline:
            sys.exit(OTHERWISE if said else NOBODY)
        time.sleep(1)


def in_force(address):
    """What a controller says of the registration: nothing, where it does not lead."""
    host = f"[{address}]" if ":" in address else address
    try:
        with urllib.request.build_opener(DIRECT).open(f"http://{host}:8080/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return []
    return [float(line.split()[1]) for line in lines if line.startswith("ringfence_admission_webhook_in_force ")]


def refusal(namespace):
    """The API server's words about an AgentDeployment that asks for everything."""
    path = f"/apis/ringfence.dev/v1alpha1/namespaces/{namespace}/agentdeployments?dryRun=All"
    spec = {
        "image": f"example.test/agent@sha256:{'0' * 64}",
        "network": {"egress": [{"cidr": "0.0.0.0/0", "ports": [443]}]},
    }
    body = {"apiVersion": "ringfence.dev/v1alpha1", "kind": "AgentDeployment", "spec": spec}
    try:
        api(path, body | {"metadata": {"name": "ringfence-helm-test"}})
    except urllib.error.HTTPError as error:
        status = json.load(error)
        if error.code in (403, 422):
            return status["message"]
        sys.exit(f"FAILED: expected a refusal, got {error.code}: {status.get('message')}")
    sys.exit("FAILED: the API server would take an AgentDeployment with egress to 0.0.0.0/0")


def main():
    release, namespace, selector = sys.argv[1:]
    for name in replicas(release, selector):
        print(f"ready: {name}")
    registered(release, selector)
    print("registered as installed")
    words = refusal(namespace)
    if "failed calling webhook" in words:
        sys.exit(f"FAILED: the API server does not reach the admission server: {words}")
    print(f"refused, as it must be: {words}")
    print("1 passed, 0 failed")


main()
