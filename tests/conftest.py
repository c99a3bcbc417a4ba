"""Settings that all tests share."""

import os

from hypothesis import settings

# No time is asserted: the machine may be busy. Where a result has to be the same twice, the examples are.
settings.register_profile("ringfence", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ringfence")
