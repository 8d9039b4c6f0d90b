"""What a route asks of its asker: a token where it writes or costs, and no more than may be taken.

A route says what it needs as a dependency::

    def create(asker: Annotated[Asker, Depends(needs("write"))]) -> Response: ...
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from fink.errors import CredentialsError
from fink.services.access import Access, Asker, Scope

SECURITY = {"token": {"type": "http", "scheme": "bearer", "description": "A token, as fink token create makes it"}}
"""How OpenAPI says that there are tokens."""


def needs(scope: Scope, *, costly: bool = False) -> Callable[[Request], Asker]:
    """Make the dependency of a route that needs a scope; it gives the asker, or ends the request with 401, 403 or 429.

    Parameters
    ----------
    costly
        Whether each question counts against what may be asked in a minute.
    """

    # a plain function: it may wait for the disk, and runs on a thread of its own
    def asker(request: Request) -> Asker:
        access: Access = request.app.state.desk.access
        found = access.asker(_token(request), request.client.host if request.client else "")
        access.allow(found, scope)
        if costly:
            access.spend(found)
        return found

    # what the documentation of the interface reads
    vars(asker).update(scope=scope, costly=costly)
    return asker


def _token(request: Request) -> str:
    """Give the token that was sent, or nothing.

    Raises
    ------
    CredentialsError
        If there is something else in its place.
    """
    sent = request.headers.get("authorization", "")
    if not sent:
        return ""
    scheme, _, token = sent.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CredentialsError("the header Authorization is not understood; send Authorization: Bearer TOKEN")
    return token.strip()
