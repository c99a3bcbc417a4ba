"""Rows of docs/enforcement.md for containers beside the agent's own: mostly what holds of the agent's holds of them."""

from collections.abc import Iterator

from tools.enforced_rows import Row

BUILT = "tests/unit/resources/test_build.py::test_children_are_as_written_down"
SAMPLES = "tests/api/test_samples.py::test_invalid_with_the_path_or_the_sentence"
BOUNDS = "tests/api/test_bounds.py::test_both_ends_of_each_bound"
CONTAINERS = "tests/unit/policy/test_containers.py"
LIVE = "e2e/suites/agents/test_containers.py"
DRIFT = "tests/api/controller/test_containers.py::test_an_edit_of_each_is_put_right"
_PLAIN = "`decide` refuses known shapes of credentials, and values that are called secrets"
_SAME = "the container, by the same rules as the agent's own"
_SHAPES = f"{CONTAINERS}::test_no_secret_stands_in_plain_text"
_ASKED = f"{CONTAINERS}::test_its_configuration_is_asked_about"
_PLACES = f"{CONTAINERS}::test_files_hide_nothing"

_EACH = {
    "name": Row("the container's name; no two have the same: CEL", f"{CONTAINERS}::test_names_differ", SAMPLES, BUILT),
    "image": Row(
        "`decide`: registry, digest and signature, by each AgentPolicy",
        f"{CONTAINERS}::test_its_image_is_held_to_the_same_rules",
        DRIFT,
    ),
    "command": Row(f"{_SAME}, without a shell; {_PLAIN}", _SHAPES, BUILT),
    "args": Row(f"{_SAME}, without a shell; {_PLAIN}", _SHAPES, BUILT),
    "env[].name": Row(f"{_SAME}; no second entry of one name", f"{CONTAINERS}::test_no_variable_is_set_twice", BUILT),
    "env[].value": Row(f"{_SAME}; {_PLAIN}", _SHAPES, BUILT),
    "envFrom[].configMap": Row(
        "admission asks whether the requester, or the namespace's delegate, may get the ConfigMap", _ASKED
    ),
    "envFrom[].keys": Row(f"{_SAME}, key by key", f"{CONTAINERS}::test_no_variable_is_set_twice", BUILT),
    "files[].path": Row(f"a read-only mount, for this container alone; {_SAME}", _PLACES, BUILT),
    "files[].content": Row(f"an annotation of the pods' template; {_PLAIN}", _SHAPES, BUILT, BOUNDS),
    "files[].configMap.name": Row(
        "admission asks whether the requester, or the namespace's delegate, may get the ConfigMap", _ASKED
    ),
    "files[].configMap.key": Row("the one key that is mounted", BUILT),
    "shares": Row(
        "the agent's volume, at the same place; `decide` refuses what is none of the agent's",
        f"{CONTAINERS}::test_it_shares_what_the_agent_has",
        f"{LIVE}::test_they_share_what_is_named_and_nothing_else",
    ),
    **{
        f"resources.{which}.{kind}": Row(
            f"{_SAME}; policies' limits count all containers",
            f"{CONTAINERS}::test_limits_count_all_containers",
            f"{CONTAINERS}::test_its_resources_are_limited",
            BUILT,
        )
        for which in ("requests", "limits")
        for kind in ("cpu", "memory", "ephemeral-storage")
    },
}
_PROBES = {
    f"probes[].{field}": Row(f"the container's probe (kubelet); {_SAME}", *tests, BUILT)
    for field, tests in {
        "type": (),
        "http.path": (),
        "http.port": (SAMPLES,),
        "http.scheme": (),
        "tcp.port": (SAMPLES,),
        "command": (_SHAPES,),
        "every": (),
        "timeout": (),
        "delay": (),
        "failures": (),
    }.items()
}


def rows() -> Iterator[tuple[str, Row]]:
    """Field -> row."""
    for where, fields in (("initContainers", _EACH), ("sidecars", _EACH | _PROBES)):
        for field, row in fields.items():
            yield f"AgentDeployment.spec.{where}[].{field}", row
    yield (
        "AgentDeployment.spec.secrets[].containers",
        Row(
            "volumes and variables of the containers that are named, and of no other; must be one of the agent's: CEL",
            f"{CONTAINERS}::test_a_secret_reaches_the_containers_that_it_names",
            f"{LIVE}::test_they_share_what_is_named_and_nothing_else",
            SAMPLES,
        ),
    )
