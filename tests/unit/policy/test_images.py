"""Image references are parsed, not searched: B68 and the lessons of Gatekeeper's library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.policy.images import ImageError, ImageReference, parse_image
from unit.policy.make import DIGEST, judge, places

LOOSE = {"images": {"requireDigest": False}}

PARSED = [
    ("nginx", ImageReference("docker.io", ("library", "nginx"))),
    ("nginx:1.27", ImageReference("docker.io", ("library", "nginx"), "1.27")),
    ("acme/agent", ImageReference("docker.io", ("acme", "agent"))),
    ("docker.io/nginx", ImageReference("docker.io", ("library", "nginx"))),
    ("index.docker.io/acme/x", ImageReference("docker.io", ("acme", "x"))),
    ("localhost/x", ImageReference("localhost", ("x",))),
    ("registry.example/x", ImageReference("registry.example", ("x",))),
    ("registry.example:5000/x", ImageReference("registry.example:5000", ("x",))),
    ("registry:5000/x", ImageReference("registry:5000", ("x",))),
    ("registry.example/a/b/c:v1", ImageReference("registry.example", ("a", "b", "c"), "v1")),
    (f"registry.example/a@{DIGEST}", ImageReference("registry.example", ("a",), None, DIGEST)),
    (f"registry.example:5000/a:v1@{DIGEST}", ImageReference("registry.example:5000", ("a",), "v1", DIGEST)),
    ("registry.example/a__b/c-d/e--f.g", ImageReference("registry.example", ("a__b", "c-d", "e--f.g"))),
    ("192.0.2.1:5000/x", ImageReference("192.0.2.1:5000", ("x",))),
]


@pytest.mark.parametrize(("text", "parts"), PARSED)
def test_parsed(text: str, parts: ImageReference) -> None:
    assert parse_image(text) == parts


BROKEN = [
    "",
    "/",
    "/x",
    "x/",
    "registry.example/",
    "registry.example//x",
    "registry.example/../x",
    "registry.example/X",
    "Registry.example/x",
    "REGISTRY/x",
    "registry.example:/x",
    "registry.example:0/x",
    "registry.example:65536/x",
    "registry.example:port/x",
    "registry.example:5000:1/x",
    "registry..example/x",
    "-registry.example/x",
    "registry.example/x:",
    "registry.example/x:-tag",
    "registry.example/x:" + "t" * 129,
    "registry.example/x@",
    "registry.example/x@sha256:",
    "registry.example/x@sha256:" + "0" * 63,
    "registry.example/x@sha256:" + "0" * 65,
    "registry.example/x@sha256:" + "G" * 64,
    "registry.example/x@sha256:" + "A" * 64,
    "registry.example/x@sha512:" + "0" * 128,
    "registry.example/x@md5:" + "0" * 32,
    f"registry.example/x@{DIGEST}@{DIGEST}",
    f"@{DIGEST}",
    DIGEST,
    "0" * 64,
    "cafe",
    "registry.example/" + "a" * 256,
    "user:password@registry.example/x",
    "https://registry.example/x",
    "registry.example/x y",
    "registry.example/x\n",
    "registry.example/\u0445",
    "[::1]:5000/x",
]


@pytest.mark.parametrize("text", BROKEN)
def test_broken(text: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_image(text)
    assert "password" not in str(caught.value)


@given(st.text(alphabet="az09./:@-_A", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Whatever is parsed has parts that make up the text again, but for the host that was left out."""
    try:
        image = parse_image(text)
    except ImageError:
        return
    again = "/".join(image.segments)
    again += f":{image.tag}" if image.tag else ""
    again += f"@{image.digest}" if image.digest else ""
    assert again.endswith(text) or text.startswith(("docker.io/", "index.docker.io/"))


@pytest.mark.parametrize("text", ["user:password@registry.example/x", f"Registry.example/x@{DIGEST}"])
def test_an_unreadable_image_is_not_repeated(text: str) -> None:
    (violation,) = judge({"image": text}, LOOSE)
    assert (violation.rule, violation.path) == ("ImageInvalid", "spec.image")
    assert "password" not in violation.message
    assert "Registry" not in violation.message


WITHOUT_DIGEST = ["registry.example:443/x", "registry.example/x:latest", "registry.example/sha256/x", "nginx"]


@pytest.mark.parametrize("text", WITHOUT_DIGEST)
def test_b68_no_digest(text: str) -> None:
    assert places(judge({"image": text})) == {("ImageNoDigest", "spec.image")}
    assert judge({"image": text}, LOOSE) == []


REGISTRIES = [
    ("registry.example", "registry.example/x", True),
    ("registry.example", "registry.example/a/b", True),
    ("registry.example/", "registry.example/a/b", True),
    ("registry.example/team", "registry.example/team/x", True),
    ("registry.example/team", "registry.example/team", True),
    ("registry.example/team", "registry.example/teammate/x", False),
    ("registry.example/team", "registry.example/team-b/x", False),
    ("registry.example/team", "registry.example/x/team", False),
    ("registry.example", "registry.example.evil.test/x", False),
    ("registry.example", "evil.test/registry.example/x", False),
    ("registry.example", "registry.example:5000/x", False),
    ("registry.example:5000", "registry.example:5000/x", True),
    ("registry.example:5000", "registry.example:50001/x", False),
    ("registry.example:5000", "registry.example/x", False),
    ("docker.io", "nginx", True),
    ("docker.io/library", "nginx", True),
    ("docker.io/acme", "acme/x", True),
    ("docker.io/acme", "docker.io/acme", False),
    ("docker.io", "index.docker.io/acme/x", True),
    ("acme", "acme/x", False),
    ("*", "anything.test/x", True),
]


@pytest.mark.parametrize(("registry", "image", "allowed"), REGISTRIES)
def test_registries_match_by_segments(registry: str, image: str, *, allowed: bool) -> None:
    found = judge({"image": f"{image}@{DIGEST}"}, {"images": {"registries": [registry]}})
    assert places(found) == (set() if allowed else {("ImageRegistry", "spec.image")})


def test_no_registry_and_every_policy() -> None:
    assert places(judge({}, {"images": {"registries": []}})) == {("ImageRegistry", "spec.image")}
    both = judge({}, {"images": {"registries": ["registry.example"]}}, {"images": {"registries": ["other.example"]}})
    assert [(violation.rule.value, '"p1"' in violation.message) for violation in both] == [("ImageRegistry", True)]
