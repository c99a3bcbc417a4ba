"""Where values of secrets come from: each source is a module here, and a line in `first_value`."""

from ringfence.api.secrets import SecretSource

from .generated import new_value


def first_value(source: SecretSource) -> str:
    """The first value of a secret that Ringfence keeps, base64 as a Secret holds it.

    Raises ValueError for a source whose values somebody else keeps.
    """
    if source.generate is not None:
        return new_value(source.generate.length)
    raise ValueError("only a generated secret has a first value")
