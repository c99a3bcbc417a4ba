"""Whether everything in an image can be imported, asked from inside of it."""

import json

PROGRAM = """
import importlib, json, pathlib, pkgutil
import ringfence

site = pathlib.Path(ringfence.__file__).parents[1]
own = {one.name for one in pkgutil.walk_packages(ringfence.__path__, "ringfence.")} - {"ringfence.__main__"}
compiled = {".".join((*one.relative_to(site).parts[:-1], one.name.partition(".")[0])) for one in site.rglob("*.so")}
failed = {}
for name in sorted(own | compiled):
    try:
        importlib.import_module(name)
    except ImportError as problem:
        failed[name] = str(problem)
print(json.dumps({"own": len(own), "compiled": sorted(compiled), "failed": failed}))
"""
"""For the Python of the image: all of Ringfence, and each compiled module of its libraries."""
_AMONG = {"cryptography.hazmat.bindings._rust", "pydantic_core._pydantic_core", "orjson.orjson"}
_OWN = 100


def check(told: str) -> None:
    """Raises AssertionError with what could not be imported. `told`: what the program printed."""
    found = json.loads(told)
    assert found["failed"] == {}
    assert set(found["compiled"]) >= _AMONG
    assert found["own"] > _OWN
