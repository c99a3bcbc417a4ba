"""Who an agent is to a cloud: what every policy names, and nobody with rights on the API server."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ringfence.api import AgentDeploymentSpec, AgentPolicySpec, parse
from ringfence.api.identity import ANNOTATIONS, IDENTITY_DOMAINS, AnnotationKey
from ringfence.kube.own_token import api_audiences
from ringfence.policy.handover import runs_the_same
from ringfence.policy.model import Facts
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS
from ringfence.resources import build
from ringfence.resources.compare import matches, whole
from unit.policy.make import IMAGE, OPEN, judge, places
from unit.resources.agents import make

ROLE = "arn:aws:iam::111122223333:role/researcher"
KEY = "eks.amazonaws.com/role-arn"
AZURE = "azure.workload.identity/client-id"
STS = "sts.amazonaws.com"


def annotated(value: str = ROLE, key: str = KEY) -> dict[str, Any]:
    return {"identity": {"annotations": [{"key": key, "value": value}]}}


def token(audience: str = STS, path: str = "/var/run/identity/token", **more: Any) -> dict[str, Any]:
    return {"identity": {"tokens": [{"audience": audience, "path": path, **more}]}}


def allowing(*audiences: str, **values: list[str]) -> dict[str, Any]:
    annotations = [{"key": KEY, "values": values["roles"]}] if "roles" in values else []
    return {"identity": {"annotations": annotations, "audiences": list(audiences)}}


KEPT = {
    "name": "kept",
    "source": {"existing": {"secretName": "kept", "key": "a"}},
    "delivery": {"file": {"path": "/srv/secrets/a"}},
}
ABOVE = {("IdentityAbovePolicy", "spec.identity.annotations[0].value")}
TOKEN_ABOVE = {("IdentityAbovePolicy", "spec.identity.tokens[0].audience")}


@pytest.mark.parametrize(
    ("spec", "policies", "found"),
    [
        ({"identity": {}}, [], set()),
        (annotated(), [], ABOVE),
        (annotated(), [{}], ABOVE),
        (annotated(), [allowing(roles=[ROLE])], set()),
        (annotated(), [allowing(roles=["other", ROLE])], set()),
        (annotated(), [allowing(roles=["*"])], ABOVE),
        (annotated(ROLE + "x"), [allowing(roles=[ROLE])], ABOVE),
        (annotated(ROLE.upper()), [allowing(roles=[ROLE])], ABOVE),
        (annotated(ROLE, "iam.gke.io/gcp-service-account"), [allowing(roles=[ROLE])], ABOVE),
        (annotated(), [allowing(roles=[ROLE]), {}], ABOVE),
        (annotated(), [allowing(roles=[ROLE]), allowing(roles=["other"])], ABOVE),
        (token(), [], TOKEN_ABOVE),
        (token(), [allowing(STS)], set()),
        (token("STS.amazonaws.com"), [allowing(STS)], TOKEN_ABOVE),
        (token(), [allowing("amazonaws.com")], TOKEN_ABOVE),
        (token(), [allowing(STS), allowing("api://AzureADTokenExchange")], TOKEN_ABOVE),
    ],
)
def test_each_is_what_every_policy_names(
    spec: dict[str, Any], policies: list[dict[str, Any]], found: set[tuple[str, str]]
) -> None:
    assert places(judge(spec, *policies)) == found


def test_the_refusal_says_what_it_takes() -> None:
    (found,) = judge(annotated("x"), allowing(roles=[ROLE]))
    assert ROLE in found.message
    assert "identity.annotations" in found.message


API_SERVERS = [
    *("https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local", "kubernetes.default.svc"),
    *("https://kubernetes.default.svc/", "https://kubernetes.default.svc:443", "HTTPS://KUBERNETES.DEFAULT.SVC"),
    *("kubernetes", "kubernetes.default", "https://kubernetes", "kubernetes/serviceaccount", "api", "API", "k3s"),
    "https://kubernetes.default.svc.cluster.local/",
    "https://kubernetes.default.svc.example.internal",
    "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
    "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c",
    "https://eastus.oic.prod-aks.azure.com/tenant/cluster/",
    "https://team-dns-0123.hcp.eastus.azmk8s.io",
    "team-dns-0123.hcp.eastus.azmk8s.io:443",
]
CLOUDS = [
    *(STS, "api://AzureADTokenExchange", "vault", "kubernetes.example.com", "https://vault.example.com", "iam"),
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    "https://sts.azure.com/kubernetes.default.svc",
]


@pytest.mark.parametrize("audience", API_SERVERS)
def test_no_token_is_for_the_api_server(audience: str) -> None:
    assert places(judge(token(audience))) == {("InvalidField", "spec.identity.tokens[0].audience")}
    assert parse(AgentPolicySpec, allowing(audience)).errors, "nor can a policy name it"


@pytest.mark.parametrize("audience", CLOUDS)
def test_other_audiences_are_a_policys_matter(audience: str) -> None:
    assert judge(token(audience), allowing(audience)) == []


def test_what_the_api_server_takes_is_known() -> None:
    known = Facts(OPEN, api_audiences=frozenset({"https://issuer.example"}))
    found = judge(token("https://issuer.example"), allowing("https://issuer.example"), known=known)
    assert places(found) == {("InvalidField", "spec.identity.tokens[0].audience")}
    assert judge(token(), allowing(STS), known=known) == []


def _jwt(claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (_jwt({"aud": ["a", "b"], "iss": "i", "sub": "s"}), {"a", "b", "i"}),
        (_jwt({"aud": "a"}), {"a"}),
        (_jwt({"aud": [1, None]}), set()),
        (_jwt([]), set()),
        ("", set()),
        ("a.b.c", set()),
        ("a", set()),
        (None, set()),
    ],
)
def test_it_is_read_from_the_processs_own_token(tmp_path: Path, written: str | None, found: set[str]) -> None:
    file = tmp_path / "token"
    if written is not None:
        file.write_text(written)
    assert api_audiences(file) == found


def test_what_is_annotated_is_of_the_list() -> None:
    assert ANNOTATIONS.keys() == {*get_args(AnnotationKey)}, "each has its source"
    assert all(one.source and one.does and one.cloud for one in ANNOTATIONS.values())
    for key in ("eks.amazonaws.com/audience", "example.com/a", "EKS.amazonaws.com/role-arn", ""):
        assert places(judge(annotated(key=key))) == {("InvalidField", "spec.identity.annotations[0].key")}


@pytest.mark.parametrize(
    "path",
    [
        *(f"{place}/token" for place in (*RESERVED_PATHS, *SYSTEM_PATHS)),
        *(
            "/usr/token",
            "/etc/token",
            "/var/run/token",
            "/var/token",
            "/data/token",
            "/data/below/token",
            "/etc/agent/x",
        ),
        *(
            "/work/token",
            "/srv/secrets/b",
            "/srv/secrets/below/b",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
        ),
    ],
)
def test_a_token_hides_nothing(path: str) -> None:
    others = {
        "storage": {"mountPath": "/data", "size": "1Gi"},
        "files": [{"path": "/etc/agent/config", "content": ""}],
        "scratch": [{"path": "/work", "size": "1Mi"}],
        "secrets": [KEPT],
    }
    found = judge({**token(path=path), **others}, allowing(STS))
    assert places(found) == {("InvalidField", "spec.identity.tokens[0].path")}


@pytest.mark.parametrize("path", ["/token", "token", "/a/../b", "/a/b/", "/a//b", "/a/.b", "", "/"])
def test_a_path_is_one(path: str) -> None:
    assert places(judge(token(path=path), allowing(STS))) == {("InvalidField", "spec.identity.tokens[0].path")}


def test_tokens_share_a_directory_or_keep_apart() -> None:
    def two(first: str, second: str) -> dict[str, Any]:
        return {"identity": {"tokens": [{"audience": STS, "path": first}, {"audience": STS, "path": second}]}}

    assert judge(two("/var/run/identity/a", "/var/run/identity/b"), allowing(STS)) == []
    below = judge(two("/var/run/identity/a", "/var/run/identity/b/c"), allowing(STS))
    assert places(below) == {("InvalidField", "spec.identity.tokens[1].path")}


@pytest.mark.parametrize(("life", "right"), [("10m", True), ("24h", True), ("9m59s", False), ("24h1s", False)])
def test_a_life_is_bounded(life: str, *, right: bool) -> None:
    found = judge(token(expiration=life), allowing(STS))
    assert places(found) == (set() if right else {("InvalidField", "spec.identity.tokens[0].expiration")})


def test_a_malformed_entry_hides_no_other() -> None:
    spec = {"identity": {"tokens": [3, {"audience": "x", "path": "/proc/y"}, {"audience": "z"}], "annotations": [{}]}}
    found = places(judge(spec))
    assert ("InvalidField", "spec.identity.tokens[1].path") in found
    assert ("IdentityAbovePolicy", "spec.identity.tokens[1].audience") in found
    assert ("IdentityAbovePolicy", "spec.identity.tokens[2].audience") in found
    assert judge({"identity": "x"})


def test_what_hides_files_of_the_image_is_another_program() -> None:
    assert not runs_the_same(token(path="/app/token"), {})
    assert runs_the_same(token("vault"), token())
    assert runs_the_same({"identity": {"tokens": "x"}}, {"identity": 3})


def children(spec: dict[str, Any]) -> dict[str, Any]:
    AgentDeploymentSpec.model_validate({"image": IMAGE, **spec})
    return {one["kind"]: one for one in build(make({"spec": {"image": IMAGE, **spec}}))}


def test_the_label_comes_with_the_annotation_that_needs_it() -> None:
    def labels(spec: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = children(spec)["Deployment"]["spec"]["template"]["metadata"]["labels"]
        return found

    assert labels(annotated("1", AZURE))["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/use" not in labels(annotated())
    selector = children(annotated("1", AZURE))["Deployment"]["spec"]["selector"]["matchLabels"]
    assert list(selector) == ["ringfence.dev/agent"]


@pytest.mark.parametrize("spec", [{}, annotated()])
@pytest.mark.parametrize("key", [KEY, "eks.amazonaws.com/audience", *(f"{domain}x" for domain in IDENTITY_DOMAINS)])
def test_an_annotation_of_others_is_an_edit(spec: dict[str, Any], key: str) -> None:
    account = children(spec)["ServiceAccount"]
    stored = account | {"metadata": account["metadata"] | {"uid": "u", "resourceVersion": "1"}}
    assert matches(account, stored)
    annotations = {**account["metadata"]["annotations"], key: "arn:aws:iam::9:role/admin", "example.com/note": "kept"}
    edited = stored | {"metadata": stored["metadata"] | {"annotations": annotations}}
    assert not matches(account, edited)
    replaced = whole(account, edited)
    assert matches(account, replaced)
    assert replaced["metadata"]["annotations"]["example.com/note"] == "kept"


def test_an_annotation_that_is_gone_is_an_edit() -> None:
    account = children(annotated())["ServiceAccount"]
    annotations = {key: text for key, text in account["metadata"]["annotations"].items() if key != KEY}
    assert not matches(account, account | {"metadata": account["metadata"] | {"annotations": annotations}})
