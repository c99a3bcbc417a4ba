"""Agents that ask for permissions, and an API server that says who holds them."""

from typing import Any

from ringfence.admission.answer import Verdict
from ringfence.admission.request import Request, read
from ringfence.admission.requester import Requester
from unit.admission.make import IMAGE, agent, encoded, review
from unit.fakes.kube import FakeCluster, FakeKube

ASKER = {"username": "dev", "uid": "7", "groups": ["developers"], "extra": {"scopes": ["x"]}}


READS = {"apiGroups": ["", "apps"], "resources": ["pods", "pods/log", "deployments"], "verbs": ["get", "list"]}


READS_ATOMS = {"get pods", "list pods", "get pods/log", "get deployments.apps", "list deployments.apps"}


def asking(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return agent({"image": IMAGE, "permissions": {"level": "Critical", "rules": list(rules)}, **spec})


def asked(new: Any, old: Any = None, **user: Any) -> Request:
    return read(encoded(review(new, old, userInfo=ASKER | user)))


class Reviewer(FakeKube):
    """Answers as RBAC does. `may`: VERB RESOURCE[.GROUP] [NAME], or `*`; `of`: user or groups that hold it."""

    def __init__(self, *may: str, of: str = "dev") -> None:
        super().__init__(FakeCluster())
        self.may, self.of, self.reviews = set(may), of, list[dict[str, Any]]()
        self.cluster.answers["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = self._review

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        spec = body["spec"]
        self.reviews.append(spec)
        where = spec["resourceAttributes"]
        assert where["namespace"] == "team"
        full = "/".join(filter(None, (where["resource"], where.get("subresource"))))
        atom = f"{where['verb']} {full}" + (f".{where['group']}" if where.get("group") else "")
        named = f"{atom} {where.get('name')}"
        known = self.of in {spec.get("user"), *spec.get("groups", ())}
        return {"status": {"allowed": known and bool(self.may & {"*", atom, named})}}

    @property
    def questions(self) -> list[str]:
        found = [spec["resourceAttributes"] for spec in self.reviews]
        return [" ".join(filter(None, (one["verb"], one["resource"], one.get("name")))) for one in found]


async def check(kube: FakeKube, request: Request, delegate: str | None = None) -> Verdict | None:
    return await Requester(kube).check(request, delegate)


async def refused(kube: FakeKube, request: Request, delegate: str | None = None) -> Verdict:
    verdict = await check(kube, request, delegate)
    assert verdict is not None
    assert not verdict.allowed
    return verdict


def with_secret(key: str = "k", path: str = "/var/run/ringfence/k", **spec: Any) -> dict[str, Any]:
    secret = {
        "name": "llm",
        "source": {"existing": {"secretName": "llm", "key": key}},
        "delivery": {"file": {"path": path}},
    }
    return agent({"image": IMAGE, "secrets": [secret], **spec})
