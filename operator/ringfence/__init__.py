"""Ringfence: a fence around every AI agent on Kubernetes, and the proof that it holds."""

__version__ = "0.1.0"
