"""How late the event loop is: a probe that runs beside everything else."""

import asyncio
from typing import Final

from prometheus_client import Histogram

from ringfence.telemetry.metrics import LOOP_LAG

PROBE_SECONDS: Final = 0.5
"""Between two looks: often enough for a pause of a second to be seen, rarely enough to cost nothing."""


async def probe(lag: Histogram = LOOP_LAG, *, every: float = PROBE_SECONDS) -> None:
    """Measure for ever: sleep until a moment, and look how late it is by then, in seconds."""
    loop = asyncio.get_running_loop()
    while True:
        moment = loop.time() + every
        await asyncio.sleep(every)
        lag.observe(max(0.0, loop.time() - moment))
