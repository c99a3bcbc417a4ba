"""All files of a gateway's configuration."""

import json
from collections.abc import Mapping

from . import bootstrap, clusters, credentials, listeners, naming, proxy, routes, tunnel, upstream, versions
from .certificates import names
from .model import Gateway
from .shapes import Json, resources, typed


def files(gateway: Gateway) -> dict[str, str]:
    """Name -> text, in order of names; the same gateway gives the same text. All but one are JSON (`versions`).

    They lie in one folder, `gateway.paths.config`, which is swapped as a whole. Envoy starts with `bootstrap.json`,
    and reads the others anew after each swap. The placeholders of secrets stand in the `rds-` files: they belong into a
    Secret, not into a ConfigMap. No file holds the value of a secret.
    """
    found: dict[str, Json] = {
        naming.BOOTSTRAP: bootstrap.bootstrap(gateway),
        naming.LISTENERS: resources(*listeners.listeners(gateway)),
        naming.CLUSTERS: resources(*clusters.clusters(gateway)),
        naming.ADDRESS_FILE: resources(clusters.denied_addresses(gateway)),
    }
    found |= {naming.leaf_file(name): resources(_leaf(gateway, name)) for name in names(gateway)}
    found |= {naming.routes_file(port): resources(routes.configuration(gateway, port)) for port in gateway.ports}
    found |= {naming.manager_file(port): resources(listeners.manager(gateway, port)) for port in gateway.ports}
    if tunnel.wanted(gateway):
        found[tunnel.FILE] = resources(tunnel.configuration(gateway))
    if gateway.proxy_port:
        found[proxy.FILE] = resources(proxy.configuration(gateway))
    if gateway.upstream and gateway.upstream.credentials:
        found[upstream.FILE] = resources(upstream.secret(gateway))
    for host in gateway.hosts:
        found |= {name: resources(secret) for name, secret in credentials.secrets(gateway, host)}
    texts = {name: text(found[name]) for name in found}
    known = {name: versions.version(texts[name]) for name in versions.figures(gateway)}
    texts |= {name: text({"version_info": known[name], **found[name]}) for name in known}
    texts[versions.FILE] = versions.lines(gateway, known)
    return {name: texts[name] for name in sorted(texts)}


def text(content: Mapping[str, object]) -> str:
    """As it is written: short, in an order of its own."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


def _leaf(gateway: Gateway, name: str) -> Json:
    folder = gateway.paths.certificate
    pair = {
        "certificate_chain": {"filename": f"{folder}/{naming.certificate_file(name)}"},
        "private_key": {"filename": f"{folder}/{naming.key_file(name)}"},
        "watched_directory": {"path": folder},
    }
    return typed("Secret", name=naming.leaf(name), tls_certificate=pair)
