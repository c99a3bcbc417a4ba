"""What goes wrong with a release, told in one sentence."""


class ReleaseError(Exception):
    """A release cannot be made, or is not what it says; the message is for a person."""
