"""Where a namespace names a delegate, the delegate is asked about, whoever makes the request."""

from collections.abc import Callable
from typing import Any

import pytest

from ringfence.admission.app import Admission
from ringfence.admission.fresh import LiveReader
from ringfence.admission.requester import Requester
from ringfence.store.sources import NAMESPACE
from unit.admission.asking import ASKER, READS, READS_ATOMS, Reviewer, asked, asking, check, refused, with_secret
from unit.admission.exchange import send
from unit.admission.make import IMAGE, agent, encoded, review, world

DEPLOYER = "system:serviceaccount:tenant:deployer"
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
BODY = encoded(review(agent({"image": IMAGE, "permissions": {"rules": [RULE]}}), userInfo=ASKER))


async def test_it_is_asked_about_in_place_of_whoever_applies() -> None:
    kube = Reviewer("*")
    verdict = await refused(kube, asked(asking(READS), with_secret()), DEPLOYER)
    assert 'ServiceAccount "deployer" of namespace "tenant", the delegate of this namespace' in verdict.message
    groups = ["system:serviceaccounts", "system:serviceaccounts:tenant", "system:authenticated"]
    assert all((one["user"], one["groups"]) == (DEPLOYER, groups) for one in kube.reviews)
    assert all("uid" not in one and "extra" not in one for one in kube.reviews)


async def test_it_is_enough_that_the_delegate_holds_it() -> None:
    assert await check(Reviewer(*READS_ATOMS, of=DEPLOYER), asked(asking(READS)), DEPLOYER) is None


async def test_a_group() -> None:
    kube = Reviewer(*READS_ATOMS, of="oidc:team a")
    assert await check(kube, asked(asking(READS)), "group:oidc:team a") is None
    assert {tuple(one["groups"]) for one in kube.reviews} == {("oidc:team a", "system:authenticated")}
    assert all("user" not in one for one in kube.reviews)


async def test_secrets_too() -> None:
    verdict = await refused(Reviewer("*"), asked(with_secret()), "group:tenants")
    assert 'group "tenants", the delegate of this namespace, may not get Secret "llm"' in verdict.message


@pytest.mark.parametrize(
    "value",
    [
        "",
        "deployer",
        "group:",
        "group: x",
        "group:x\n",
        "group:" + "x" * 513,
        "user:ada",
        "Group:x",
        "system:serviceaccount:tenant",
        "system:serviceaccount:tenant:",
        "system:serviceaccount:Tenant:x",
        "system:serviceaccount:tenant:x\n",
        "system:serviceaccount:tenant:x:y",
        f"system:serviceaccount:{'a' * 64}:x",
        "system:masters",
    ],
)
async def test_one_that_names_nobody_refuses(value: str) -> None:
    kube = Reviewer("*")
    verdict = await refused(kube, asked(asking(READS)), value)
    assert "ringfence.dev/delegate" in verdict.message
    assert "system:serviceaccount:NAMESPACE:NAME or group:NAME" in verdict.message
    assert kube.requests == []
    assert await check(kube, asked(agent()), value) is None, "nothing is asked about: nobody is needed"


async def test_the_namespace_names_it() -> None:
    """As the application takes it from what it follows."""
    known, kube = world(), Reviewer("list pods")
    app = Admission(known, requester=Requester(kube))
    assert (await send(app, BODY)).response["allowed"]
    name_delegate(known.observe, DEPLOYER)
    assert "delegate of this namespace" in (await send(app, BODY)).response["status"]["message"]
    name_delegate(known.observe, None)
    assert (await send(app, BODY)).response["allowed"]


async def test_what_is_read_past_the_cache_names_it() -> None:
    """The namespace is so new that the cache does not know it yet."""
    known, kube = world(), Reviewer("*", "list pods")
    known.replace(NAMESPACE, [])
    metadata = {"name": "team", "labels": {"ringfence.dev/agents": "enabled"}}
    metadata |= {"annotations": {"ringfence.dev/delegate": DEPLOYER}}
    kube.cluster.put("/api/v1/namespaces/team", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    app = Admission(known, LiveReader(kube, known), Requester(kube))
    assert "delegate of this namespace" in (await send(app, BODY)).response["status"]["message"]


def name_delegate(observe: Callable[..., None], value: str | None) -> None:
    metadata: dict[str, Any] = {"name": "team", "labels": {"ringfence.dev/agents": "enabled"}}
    if value:
        metadata["annotations"] = {"ringfence.dev/delegate": value}
    observe(NAMESPACE, "MODIFIED", {"metadata": metadata})
