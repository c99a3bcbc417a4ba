"""How often a host may be asked.

The count is kept by the cluster, not by a route: a bucket of a route is full again after each change of any route of
its listener, and who may change the list would have no bound. `local_ratelimit` cannot stand in a cluster (1.40), so
it is a few lines of Lua, whose variables live as long as the cluster is not changed. Each cluster of a host counts by
itself (that of WebSockets, that of each place of a secret), and so does each worker.
"""

from typing import Final

from .model import Host
from .shapes import Json, extension

_COUNT: Final = """
local since, count = 0, 0
function envoy_on_request(handle)
  local now = tonumber(handle:timestamp()) / 1000
  if now - since >= 60 then since, count = now, 0 end
  count = count + 1
  if count > MOST then handle:respond({[":status"] = "429", ["retry-after"] = "60"}, "") end
end
"""


def filters(host: Host) -> list[Json]:
    """Of a cluster: more requests in a minute are answered 429. None where nothing is bounded."""
    if not host.requests_per_minute:
        return []
    source = _COUNT.replace("MOST", str(host.requests_per_minute))
    return [extension("rate", "Lua", default_source_code={"inline_string": source})]
