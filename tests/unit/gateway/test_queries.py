"""Which queries pass where the placeholder stands in one, by the expressions that Envoy is given."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from ringfence.gateway import credentials, problems, queries
from ringfence.gateway.model import Gateway, Host, HostSecret, Place

SHOWN = "ringfence-placeholder-0123"
IN_QUERY = HostSecret("llm/token", SHOWN, (Place(query="key"),))
GOOGLE = HostSecret("llm/token", SHOWN, (Place("x-goog-api-key"), Place(query="key"), Place("authorization", "Bearer")))
ODD = HostSecret("llm/token", SHOWN, (Place(query="app_id.v-2"),))
REFUSED = "refused"


def holds(condition: Mapping[str, Any], path: str, headers: Mapping[str, str]) -> bool:
    """As Envoy reads a condition of a header."""
    value = {":path": path, **headers}.get(condition["name"])
    if "present_match" in condition:
        return (value is not None) is condition["present_match"]
    match = condition["string_match"]
    if "exact" in match:
        return bool(value == match["exact"])
    found = re.fullmatch(match["safe_regex"]["regex"], value or "") is not None
    return found is not condition.get("invert_match", False)


def place_of(key: HostSecret, path: str, headers: Mapping[str, str] | None = None) -> int | str | None:
    """The number of the place whose route takes the request; None where none does."""

    def all_of(conditions: Any) -> bool:
        return all(holds(one, path, headers or {}) for one in conditions)

    if any(all_of(conditions) for conditions in queries.refused(key)):
        return REFUSED
    return next((number for number, conditions in credentials.demands(key) if all_of(conditions)), None)


@pytest.mark.parametrize(
    "query",
    [
        f"key={SHOWN}",
        f"alt=sse&key={SHOWN}",
        f"key={SHOWN}&alt=sse",
        f"a=%26key%3Dx&b=c+d&key={SHOWN}&&monkey=1&c=%41%ff",
        f"a&key={SHOWN}&b=x?key",
    ],
)
def test_exactly_the_placeholder_passes(query: str) -> None:
    assert place_of(IN_QUERY, f"/v1/x?{query}") == 0


TAKEN_FOR_ANOTHER = [
    "key=attacker",
    "key=",
    "key",
    f"key={SHOWN}x",
    f"key={SHOWN.upper()}",
    f"key={SHOWN}%20",
    f"key=%72{SHOWN[1:]}",
    f"KEY={SHOWN}",
    f"k%65y={SHOWN}",
    f"+key={SHOWN}",
    f"key[]={SHOWN}",
    f"key[0]={SHOWN}",
    f"api_key={SHOWN}",
    f"a=1;key={SHOWN}",
    f"key={SHOWN};a=1",
    f"key={SHOWN}&key={SHOWN}",
    f"key={SHOWN}&key=attacker",
    f"key=attacker&a=1&key={SHOWN}",
    f"key={SHOWN}&KEY=attacker",
    f"key={SHOWN}&key",
    f"key={SHOWN}&k%65y=attacker",
    f"k%65y=attacker&key={SHOWN}",
    f"key={SHOWN}&key[]=attacker",
    f"key={SHOWN}&key[0]=attacker",
    f"key={SHOWN}&key[a=attacker",
    f"key={SHOWN}&+key=attacker",
    f"key={SHOWN}&access_token=attacker",
    f"key={SHOWN}&api.key=attacker",
    f"token=attacker&key={SHOWN}",
    f"key={SHOWN}&a%zz",
    f"key={SHOWN}&a=%zz",
    f"key={SHOWN}&a=%4",
    f"key={SHOWN}&a=%",
    f"a=%g1&key={SHOWN}",
    f"a=%%41&key={SHOWN}",
]


@pytest.mark.parametrize("query", TAKEN_FOR_ANOTHER)
def test_anything_else_that_a_host_could_take_for_a_key_is_refused(query: str) -> None:
    for key in (IN_QUERY, GOOGLE):
        assert place_of(key, f"/v1/x?{query}") == REFUSED
        assert place_of(key, f"/v1/x?{query}", {"x-goog-api-key": SHOWN}) == REFUSED


@pytest.mark.parametrize("path", ["/v1/x", "/v1/x?alt=sse", f"/v1/x?a?key={SHOWN}", f"/key={SHOWN}?a=key={SHOWN}"])
def test_without_the_placeholder_there_is_no_route(path: str) -> None:
    assert place_of(IN_QUERY, path) is None


@pytest.mark.parametrize(
    ("path", "headers", "number"),
    [
        ("/v1/x", {"x-goog-api-key": SHOWN}, 0),
        ("/v1/x?alt=sse", {"x-goog-api-key": SHOWN}, 0),
        (f"/v1/x?key={SHOWN}", {}, 1),
        ("/v1/x", {"authorization": f"Bearer {SHOWN}"}, 2),
        (f"/v1/x?key={SHOWN}", {"x-goog-api-key": SHOWN}, None),
        (f"/v1/x?key={SHOWN}", {"x-goog-api-key": "attacker"}, None),
        (f"/v1/x?key={SHOWN}", {"authorization": "Bearer attacker"}, None),
        ("/v1/x", {"x-goog-api-key": SHOWN, "authorization": "Bearer attacker"}, None),
    ],
)
def test_the_placeholder_stands_in_one_place(path: str, headers: dict[str, str], number: int | None) -> None:
    assert place_of(GOOGLE, path, headers) == number


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"app_id.v-2={SHOWN}", 0),
        (f"app_id.v-2={SHOWN}&app-id-v_2=attacker", REFUSED),
        (f"APP_ID.V-2={SHOWN}", REFUSED),
        (f"app_idxv-2={SHOWN}", None),
        (f"app_id.v-2={SHOWN}&key=attacker", REFUSED),
    ],
)
def test_a_name_of_its_own_is_compared_in_each_spelling(query: str, found: Any) -> None:
    assert place_of(ODD, f"/?{query}") == found


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(query='k" .. os.exit() .. "'), "no parameter"),
        (Place(query="k%65y"), "no parameter"),
        (Place("x-api-key", query="key"), "no parameter"),
        (Place(), "not a header"),
    ],
)
def test_a_place_that_envoy_would_not_take(place: Place, says: str) -> None:
    (found,) = problems.of_gateway(Gateway((Host("a.test", secret=HostSecret("a/b", "p", (place,))),), ()))
    assert says in found
    twice = Host("a.test", secret=HostSecret("a/b", "p", (Place(query="key"), Place(query="key"))))
    assert "two places" in str(problems.of_gateway(Gateway((twice,), ())))
