"""What is used of the official client: its asynchronous half's configuration and connection pool.

`import kubernetes` loads the synchronous half as well, with requests, OAuth and websockets, which nothing here calls:
a sixth of the processor time of each start. So the packages above the modules that are used stand without their
`__init__`, and their submodules are imported when somebody asks for one. Import the client by this module, first.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def _stand(name: str) -> None:
    """Put the package there without running its `__init__`."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None:  # loaded already, or not installed: what is imported next says so
        return
    package = module_from_spec(spec)

    def submodule(attribute: str) -> Any:
        try:
            return import_module(f"{name}.{attribute}")
        except ModuleNotFoundError as failure:
            raise AttributeError(f"{name} has no {attribute}: its __init__ was not run") from failure

    package.__getattr__ = submodule  # type: ignore[method-assign]
    sys.modules[name] = package


_stand("kubernetes")
_stand("kubernetes.aio")

from kubernetes.aio import config  # noqa: E402 - the packages must stand
from kubernetes.aio.client import Configuration  # noqa: E402
from kubernetes.aio.client.rest import RESTClientObject  # noqa: E402
from kubernetes.aio.config import ConfigException  # noqa: E402

__all__ = ["ConfigException", "Configuration", "RESTClientObject", "config"]
