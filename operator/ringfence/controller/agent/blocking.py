"""Children of an agent whose kind the API server does not know yet: they are stored, and block its deletion later."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from ringfence.kube import ApiError, Object
from ringfence.resources.stored import Desired, StoredChild, lacks_block, without_block
from ringfence.store.store import OwnershipRecord

from .fit import is_right


def is_good(desired: Desired, live: StoredChild, known: OwnershipRecord | None) -> bool:
    """Whether nothing that is stored needs to be put right at once."""
    return is_right(desired, live, known) or lacks_block(desired, live)


async def even_unknown(manifest: Object, write: Callable[[Object], Awaitable[Object]]) -> Object:
    """Write it; where it is refused, without `blockOwnerDeletion`.

    After its start, and after the CRDs were installed, an API server does not know our kind for up to half a minute,
    and refuses meanwhile that an object of it be blocked (OwnerReferencesPermissionEnforcement). That is a 403 like
    that of a missing right; but then the same without it is stored.
    """
    try:
        return await write(manifest)
    except ApiError as failure:
        if failure.status != HTTPStatus.FORBIDDEN or failure.terminating:
            raise
        return await write(without_block(manifest))
