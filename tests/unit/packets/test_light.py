"""What runs inside pods starts fast: the standard library, and not much of it."""

import subprocess
import sys

import pytest

SHOWN = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""
HEAVY = {
    "argparse",
    "asyncio",
    "click",
    "dataclasses",
    "inspect",
    "ipaddress",
    "json",
    "logging",
    "ssl",
    "typing",
    "urllib",
}


@pytest.mark.parametrize("module", [f"ringfence.packets.{name}" for name in ("__main__", "attempt", "gate", "listen")])
def test_it_loads_the_standard_library_alone(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SHOWN.format(module=module)], check=True, capture_output=True, text=True, timeout=300
    )
    loaded = set(told.stdout.split()) - {"ringfence"}
    assert "socket" in loaded
    assert not loaded - sys.stdlib_module_names
    assert not loaded & HEAVY
