"""Which files are in force: a gateway is ready while Envoy goes by each file as it was written last.

Of one bad route Envoy refuses the whole file, and goes on with the one before: an agent would keep what it has lost.
Envoy says of each file the version that it took last (a figure of its own), and beside the files lies what these are to
be. Who asks whether the gateway is ready is answered by comparing the two.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from . import naming, proxy, tunnel
from .model import Gateway, Mode
from .routes import PLAIN_PORT
from .shapes import DATA

FILE: Final = "versions.txt"
FIGURE: Final = "version_text"
_LONG: Final = 16

_COMPARED: Final = """
local missed = 0
local function in_force(handle)
  local ask = {[":method"] = "GET", [":path"] = "/stats?type=TextReadouts", [":authority"] = "CLUSTER"}
  local _, told = handle:httpCall("CLUSTER", ask, nil, 900)
  local file = io.open("FILE", "r")
  if not file then return false end
  local count, found = 0, 0
  for line in file:lines() do
    count = count + 1
    if string.find(told or "", line, 1, true) then found = found + 1 end
  end
  file:close()
  return count > 0 and found == count
end
function envoy_on_request(handle)
  if handle:headers():get(":path") ~= "READY" then return end
  if in_force(handle) then missed = 0 else missed = missed + 1 end
  if missed > 1 then
    handle:respond({[":status"] = "503"}, "a file of the configuration was refused: see the log\\n")
  end
end
"""
"""Lua: another answer than Envoy's own where a file is not in force. Once is not enough: files are read one by one."""


def script(gateway: Gateway, path: str) -> str:
    """Of the listener that is asked at `path` whether the gateway is ready."""
    words = {"CLUSTER": naming.ADMIN, "FILE": f"{gateway.paths.config}/{DATA}/{FILE}", "READY": path}
    text = _COMPARED
    for word, stands in words.items():
        text = text.replace(word, stands)
    return text


def version(text: str) -> str:
    """Of a file, by what is in it."""
    return hashlib.sha256(text.encode()).hexdigest()[:_LONG]


def lines(gateway: Gateway, versions: Mapping[str, str]) -> str:
    """A line for each file, as Envoy's figures have it. `versions`: by the names of files."""
    found = (f'{figure}.{FIGURE}: "{versions[name]}"\n' for name, figure in sorted(figures(gateway).items()))
    return "".join(found)


def figures(gateway: Gateway) -> dict[str, str]:
    """Of each file that holds a list, what Envoy calls it.

    Not of those that name one secret each: where that is damaged, this one host is closed, and no other.
    """
    found = {
        naming.LISTENERS: "listener_manager.lds",
        naming.CLUSTERS: "cluster_manager.cds",
        naming.ADDRESS_FILE: "extension_config_discovery.upstream_http_filter.address-check",
    }
    for port in filter(lambda port: _decides(gateway, port), gateway.ports):
        name = naming.routes(port)
        found[naming.routes_file(port)] = _of_routes(name)
        found[naming.manager_file(port)] = f"extension_config_discovery.network_filter.{name}"
    if tunnel.wanted(gateway):
        found[tunnel.FILE] = _of_routes(tunnel.INNER)
    if gateway.proxy_port:
        found[proxy.FILE] = _of_routes(proxy.PROXY)
    return found


def _of_routes(name: str) -> str:
    return f"http.{name}.rds.{name}"


def _decides(gateway: Gateway, port: int) -> bool:
    """Whether requests are decided there: else its files are there, and nobody reads them."""
    return port == PLAIN_PORT or any(host.mode is Mode.TERMINATE for host in gateway.at(port))
