"""The one place where values of keys are made."""

import base64
import secrets
import string

ALPHABET = string.ascii_letters + string.digits
"""62 characters that need no quoting anywhere: 5.95 bits each."""


def new_value(length: int) -> str:
    """A random value, base64 as a Secret holds it."""
    return base64.b64encode("".join(secrets.choice(ALPHABET) for _ in range(length)).encode()).decode()
