"""The admission server's certificate, where no cert-manager makes it."""

from .issue import Names
from .keeper import Settings, keep

__all__ = ["Names", "Settings", "keep"]
