"""For whom the API server takes tokens, read from the token that it gave to this very process."""

import base64
import binascii
import json
from pathlib import Path
from typing import Final

OWN_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def api_audiences(file: Path = OWN_TOKEN) -> frozenset[str]:
    """The API server's audiences and its issuer of tokens; empty where there is no such token to read.

    A pod's own token is made for all audiences of the API server. Nothing of it is kept but these names.
    """
    try:
        payload = file.read_text().strip().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (OSError, ValueError, IndexError, binascii.Error):
        return frozenset()
    if not isinstance(claims, dict):
        return frozenset()
    named = claims.get("aud")
    found = [*(named if isinstance(named, list) else [named]), claims.get("iss")]
    return frozenset(one for one in found if isinstance(one, str))
