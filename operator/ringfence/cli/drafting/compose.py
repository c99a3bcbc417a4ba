"""From a service of a compose file to a draft."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from ringfence.api.secrets import SECRETS_DIRECTORY
from ringfence.policy.pods import RESERVED_PATHS, SYSTEM_PATHS, overlap

from .draft import Draft, listed, mapping, quoted, slug
from .pod_volumes import SIZE

_REFERENCE: Final = re.compile(r"\$\$|\$\{?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::?-(?P<otherwise>[^}]*))?\}?")
_BYTES: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([bkmg]?)b?", re.IGNORECASE)
_TIME: Final = re.compile(r"(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?")
_MOUNTED: Final = "/run/secrets"
"""Where compose has secrets without a path of their own. In a pod the API's tokens are there."""
_IGNORED: Final = frozenset(
    {
        "attach",
        "container_name",
        "hostname",
        "labels",
        "logging",
        "networks",
        "profiles",
        "pull_policy",
        "restart",
        "stop_grace_period",
        "init",
        "platform",
        "cap_drop",
        "read_only",
    }
)
"""What has no meaning in a cluster, or what every agent has."""


def services_of(content: Any) -> Mapping[str, Any]:
    """The services of a compose file; empty where it is none."""
    found = mapping(content)
    return {} if "apiVersion" in found or "kind" in found else mapping(found.get("services"))


def draft_of(services: Mapping[str, Any], service: str, source: str, name: str = "") -> Draft:
    """`service`: one of the services. `name`: of the agent; empty: the service's."""
    draft = Draft(name or slug(service), source)
    content = mapping(services[service])
    at = f"services.{service}"
    for key, value in content.items():
        if key in _TAKERS:
            _TAKERS[key](draft, value, f"{at}.{key}")
        elif key not in _IGNORED and not key.startswith("x-") and key not in ("depends_on", "links"):
            draft.unknown(f"{at}.{key}", key)
    _follow_secrets(draft, content.get("secrets"))
    _take_destinations(draft, services, content, at)
    return draft


def _take_destinations(draft: Draft, services: Mapping[str, Any], content: Mapping[str, Any], at: str) -> None:
    """What it depends on, it reaches, by the port that one has."""
    links = [str(link).partition(":")[0] for link in listed(content.get("links"))]
    needed = content.get("depends_on")
    depends = [str(name) for name in (needed if isinstance(needed, Mapping) else listed(needed))]
    for name in dict.fromkeys([*depends, *links]):
        ports = _ports_of(mapping(services.get(name)))
        if len(ports) == 1:
            rule = {"service": {"name": slug(name, longest=63), "port": ports[0]}}
            draft.spec.setdefault("network", {}).setdefault("egress", []).append(rule)
            draft.ask_for(
                f"{at}.depends_on", f"{quoted(name)} has to be a Service with a selector, in the agent's namespace"
            )
        else:
            draft.ask_for(
                f"{at}.depends_on",
                f"the port of {quoted(name)} is not known: network: {{egress: [{{service: {{name: "
                f"{slug(name, longest=63)}, port: 8080}}}}]}}",
            )
    draft.ask_for(
        at,
        "a compose file does not say what a service reaches outside, so nothing is open: name its destinations in "
        "network.egress, and its callers in network.ingress",
    )


def _ports_of(content: Mapping[str, Any]) -> list[int]:
    """TCP ports inside the container."""
    found = [_port(entry) for entry in [*listed(content.get("ports")), *listed(content.get("expose"))]]
    return list(dict.fromkeys(port for port in found if port is not None))


def _port(entry: Any) -> int | None:
    """The port inside: `80`, `8080:80`, `127.0.0.1:8080:80/tcp`, {target: 80}. None: no single TCP port."""
    if isinstance(entry, Mapping):
        entry = f"{entry.get('target')}/{entry.get('protocol') or 'tcp'}"
    inside, _, protocol = str(entry).rpartition(":")[2].partition("/")
    return int(inside) if inside.isdigit() and protocol in ("", "tcp") else None


def _substituted(draft: Draft, value: Any, where: str) -> str:
    """Text with what compose would put in: the default of a variable; without one, a person has to tell."""
    text = {True: "true", False: "false", None: ""}.get(value) if isinstance(value, bool | None) else str(value)
    missing = [
        found["name"] for found in _REFERENCE.finditer(text or "") if found["name"] and found["otherwise"] is None
    ]
    if missing:
        draft.ask_for(
            where, f"{' and '.join(map(quoted, missing))} came from outside of the compose file: write the value"
        )

    def put_in(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else found["otherwise"] or ""

    return _REFERENCE.sub(put_in, text or "")


def _image(draft: Draft, value: Any, where: str) -> None:
    draft.spec["image"] = _substituted(draft, value, where)


def _build(draft: Draft, _: Any, where: str) -> None:
    draft.unknown(where, "build")


def _words(name: str) -> Callable[[Draft, Any, str], None]:
    def take(draft: Draft, value: Any, where: str) -> None:
        try:
            words = shlex.split(value) if isinstance(value, str) else listed(value)
        except ValueError:
            draft.leave_out(where, "its quotes do not match: write a list")
            return
        draft.spec[name] = [_substituted(draft, word, where) for word in words]

    return take


def _environment(draft: Draft, value: Any, where: str) -> None:
    pairs = value.items() if isinstance(value, Mapping) else [_pair(one) for one in listed(value)]
    for name, content in pairs:
        if content is None:
            draft.ask_for(
                f"{where}.{name}", "its value came from the shell: write it, or, if it is a secret, see secrets"
            )
        else:
            draft.add("env", {"name": str(name), "value": _substituted(draft, content, f"{where}.{name}")})


def _pair(text: Any) -> tuple[str, str | None]:
    name, equals, content = str(text).partition("=")
    return name, content if equals else None


def _env_file(draft: Draft, _: Any, where: str) -> None:
    draft.ask_for(
        where, "the file is not read: write what is no secret into env, and the rest into a Secret and secrets"
    )


def _ports(draft: Draft, value: Any, where: str) -> None:
    for index, entry in enumerate(listed(value)):
        port = _port(entry)
        if port is None:
            draft.leave_out(f"{where}[{index}]", "ports of agents are single TCP ports")
        elif port not in [known["port"] for known in draft.spec.get("ports", [])]:
            draft.add("ports", {"name": f"port-{port}", "port": port})
    if where.endswith(".ports") and draft.spec.get("ports"):
        draft.leave_out(where, "no port is published: name who may call in network.ingress")


def _volumes(draft: Draft, value: Any, where: str) -> None:
    for index, entry in enumerate(listed(value)):
        source, path, kind = _volume(entry)
        at = f"{where}[{index}]"
        if kind == "tmpfs":
            draft.add("scratch", {"path": path, "size": SIZE})
        elif kind == "bind":
            draft.leave_out(
                at, f"{quoted(source)} is on a machine of its own: give {path} by files, or put it into the image"
            )
        elif "storage" in draft.spec:
            draft.leave_out(at, "an agent has one volume that outlives its pods, and it has one already")
        else:
            draft.spec["storage"] = {"mountPath": path, "size": SIZE}
            draft.ask_for(
                at, f"the volume is a new one of {SIZE}: set its size in storage, and copy what is in the old one"
            )


def _volume(entry: Any) -> tuple[str, str, str]:
    """(source, path inside, kind)."""
    if isinstance(entry, Mapping):
        return str(entry.get("source") or ""), str(entry.get("target") or ""), str(entry.get("type") or "volume")
    source, colon, path = str(entry).partition(":")
    if not colon:
        return "", source, "volume"
    return source, path.partition(":")[0], "bind" if source[:1] in (".", "/", "~", "$") else "volume"


def _tmpfs(draft: Draft, value: Any, _: str) -> None:
    for path in [value] if isinstance(value, str) else listed(value):
        draft.add("scratch", {"path": str(path).partition(":")[0], "size": SIZE})


def _shm_size(draft: Draft, value: Any, _: str) -> None:
    draft.add("scratch", {"path": "/dev/shm", "size": _amount(value), "medium": "Memory"})  # noqa: S108 - the pod's own


def _user(draft: Draft, value: Any, where: str) -> None:
    user, _, group = str(value).partition(":")
    for key, number in (("runAsUser", user), ("runAsGroup", group)):
        if number.isdigit() and int(number):
            draft.spec[key] = int(number)
        elif number:
            draft.leave_out(where, "no agent runs as root, and ids are numbers: runAsUser: 10001")


def _healthcheck(draft: Draft, value: Any, _: str) -> None:
    check = mapping(value)
    test = check.get("test")
    words = ["CMD-SHELL", test] if isinstance(test, str) else [str(word) for word in listed(test)]
    if check.get("disable") or words[:1] in ([], ["NONE"]):
        return
    command = ["/bin/sh", "-c", *words[1:]] if words[0] == "CMD-SHELL" else words[1:]
    probe: dict[str, Any] = {"type": "Readiness", "command": command}
    for key, name in (("interval", "every"), ("timeout", "timeout"), ("start_period", "delay")):
        if check.get(key) and _TIME.fullmatch(str(check[key])):
            probe[name] = str(check[key])
    if check.get("retries"):
        probe["failures"] = check["retries"]
    draft.add("probes", probe)


def _amount(value: Any) -> Any:
    """Bytes as compose writes them (`512m`, `2gb`) as a quantity."""
    found = _BYTES.fullmatch(str(value))
    if found is None:
        return value
    return found[1] + {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}[found[2].lower()]


def _limit(resource: str, *, of: str = "limits") -> Callable[[Draft, Any, str], None]:
    def take(draft: Draft, value: Any, _: str) -> None:
        amount = _amount(value) if resource == "memory" else str(value)
        draft.spec.setdefault("resources", {}).setdefault(of, {})[resource] = amount

    return take


def _deploy(draft: Draft, value: Any, where: str) -> None:
    content = mapping(value)
    if content.get("replicas") is not None:
        draft.spec["replicas"] = content["replicas"]
    for key, of in (("limits", "limits"), ("reservations", "requests")):
        amounts = mapping(mapping(content.get("resources")).get(key))
        for name, resource in (("cpus", "cpu"), ("memory", "memory")):
            if name in amounts:
                _limit(resource, of=of)(draft, amounts[name], where)
        if amounts.get("devices"):
            draft.ask_for(f"{where}.resources.{key}.devices", "write devices: [{name: nvidia.com/gpu, count: 1}]")


def _secrets(draft: Draft, value: Any, where: str) -> None:
    secret_name = slug(f"{draft.name}-secrets", longest=60)
    for name, _, path in _places(value):
        draft.add(
            "secrets",
            {
                "name": draft.secret_called(name),
                "source": {"existing": {"secretName": secret_name, "key": name}},
                "delivery": {"file": {"path": path}},
            },
        )
        draft.ask_for(
            where,
            f"put it into a Secret, as by `kubectl create secret generic {secret_name} --from-file={name}=FILE` "
            f"(one --from-file for each); the agent reads {path}",
        )


def _places(secrets: Any) -> Iterator[tuple[str, str, str]]:
    """Of each secret its name, where compose has the file, and where the agent has it: at the same place if it can."""
    for entry in listed(secrets):
        content = entry if isinstance(entry, Mapping) else {"source": entry}
        name = str(content.get("source"))
        target = str(content.get("target") or name)
        wanted = target if target.startswith("/") else f"{_MOUNTED}/{target}"
        directory, _, last = wanted.rpartition("/")
        taken = not directory or any(overlap(directory, place) for place in (*RESERVED_PATHS, *SYSTEM_PATHS))
        yield name, wanted, f"{SECRETS_DIRECTORY}/{last}" if taken else wanted


def _follow_secrets(draft: Draft, secrets: Any) -> None:
    """Where a variable or an argument says where a secret lies, it says where the agent has it."""
    for _, wanted, path in _places(secrets):
        said = re.compile(rf"(?:/var(?=/run/))?{re.escape(wanted)}(?![\w.-])")
        for variable in draft.spec.get("env", []):
            variable["value"] = path.join(said.split(variable["value"]))
        for key in ("command", "args"):
            if key in draft.spec:
                draft.spec[key] = [path.join(said.split(word)) for word in draft.spec[key]]


Taker = Callable[[Draft, Any, str], None]
_TAKERS: Final[Mapping[str, Taker]] = MappingProxyType(
    {
        "image": _image,
        "build": _build,
        "command": _words("args"),
        "entrypoint": _words("command"),
        "environment": _environment,
        "env_file": _env_file,
        "ports": _ports,
        "expose": _ports,
        "volumes": _volumes,
        "tmpfs": _tmpfs,
        "shm_size": _shm_size,
        "user": _user,
        "healthcheck": _healthcheck,
        "deploy": _deploy,
        "mem_limit": _limit("memory"),
        "cpus": _limit("cpu"),
        "secrets": _secrets,
    }
)
