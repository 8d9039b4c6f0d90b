"""Who may do what: tokens with scopes, and how much each asker may take.

Reading is open to all. A token is shown once, when it is made; what is kept of it is its SHA-256, in the user state beside the
archive, where it is revoked too: a server that runs knows of it at once.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fink.archive.state import State
from fink.config import ServeSettings
from fink.errors import CredentialsError, ForbiddenError, NotFoundError, QuotaError, RequestError, did_you_mean

Scope = Literal["read", "write", "order", "admin"]
"""What a token allows: to read (as everybody may), to keep filters, watchlists and notes, to order transfers and jobs, and all of it
for everybody's things."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "fink"
_DAY = 86400.0
_MOST_ASKERS = 20_000
"""Askers of whom is remembered how much they asked in the last minute; the longest silent ones are forgotten."""


@dataclass(frozen=True)
class Token:
    """A token as it is kept: everything but its secret.

    Parameters
    ----------
    name
        How it is called when it is listed or revoked; the part of the token that is no secret.
    owner
        Whose it is; filters and jobs that are made with it belong to this name.
    created, expires, revoked
        Seconds since 1970 [s]; None where it never expires, or is not revoked.
    """

    name: str
    owner: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None = None
    revoked: float | None = None

    def state(self, now: float) -> str:
        """Say whether it is ``valid``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def summary(self) -> dict[str, Any]:
        """Give it as it is shown."""
        expires = None if self.expires is None else _moment(self.expires)
        state = self.state(time.time())
        return {"name": self.name, "owner": self.owner, "scopes": list(self.scopes), "state": state, "expires": expires}


@dataclass(frozen=True)
class Asker:
    """Who asks.

    Parameters
    ----------
    who
        Whose quota is used: a token, or for anonymous askers an address.
    owner
        Whose things may be changed; empty for anonymous askers.
    """

    who: str
    owner: str = ""
    scopes: frozenset[Scope] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Say whether a scope is allowed."""
        return scope == "read" or scope in self.scopes or "admin" in self.scopes

    def owns(self, owner: str, who: str = "") -> bool:
        """Say whether something of this owner, or where there is none of this anonymous asker, is theirs to see and change."""
        return "admin" in self.scopes or (owner == self.owner if owner else who == self.who)


class Access:
    """The tokens of an archive, and what askers have taken.

    Parameters
    ----------
    state
        The user state beside the archive.
    limits
        What an asker may take.
    """

    def __init__(self, state: State, limits: ServeSettings) -> None:
        self._state, self._limits = state, limits
        self._known: dict[bytes, Token] = {}
        self._minutes: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def create(self, owner: str, scopes: Sequence[str], days: float = 365.0) -> tuple[Token, str]:
        """Make a token; give what is kept of it, and the token itself, which nobody can give again.

        Parameters
        ----------
        days
            Days that it is valid [d]; 0 for ever.

        Raises
        ------
        RequestError
            If there is no such scope, or no owner.
        """
        for scope in scopes:
            if scope not in SCOPES:
                raise RequestError(f"there is no scope {scope}{did_you_mean(scope, SCOPES)}; there are {', '.join(SCOPES)}")
        if not owner.strip() or not scopes:
            raise RequestError("a token needs an owner and at least one scope; name them")
        name, now = secrets.token_hex(4), time.time()
        text = f"{_PREFIX}_{name}_{secrets.token_urlsafe(32)}"
        chosen = tuple(scope for scope in SCOPES if scope in scopes)
        token = Token(name, owner.strip(), chosen, now, now + days * _DAY if days else None)
        with self._state.connection() as connection:
            connection.execute(
                "INSERT INTO tokens (name, owner, scopes, secret, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
                (name, token.owner, " ".join(chosen), _digest(text), now, token.expires),
            )
        return token, text

    def tokens(self) -> list[Token]:
        """Give all tokens, the newest first."""
        return sorted(self._read().values(), key=lambda token: -token.created)

    def revoke(self, name: str) -> Token:
        """Take a token's rights away, for good.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        if name not in {token.name for token in self.tokens()}:
            raise NotFoundError(f"there is no token {name}; fink token list shows all")
        with self._state.connection() as connection:
            connection.execute("UPDATE tokens SET revoked = coalesce(revoked, ?) WHERE name = ?", (time.time(), name))
        return next(token for token in self.tokens() if token.name == name)

    def asker(self, text: str, address: str) -> Asker:
        """Say who asks.

        Parameters
        ----------
        text
            The token that was sent; empty where there was none.
        address
            Where the question comes from.

        Raises
        ------
        CredentialsError
            If the token is not, or no longer, one.
        """
        if not text:
            return Asker(f"address:{_neighbourhood(address)}", scopes=frozenset(_scopes(self._limits.anonymous)))
        with self._lock:
            if self._state.changed():
                self._known = self._read()
            token = self._known.get(_digest(text))
        if token is None:
            raise CredentialsError("the token is not known; check that it was copied whole, or ask for another one")
        state = token.state(time.time())
        if state != "valid":
            raise CredentialsError(f"the token {token.name} is {state}; ask for another one")
        return Asker(f"token:{token.name}", token.owner, frozenset(token.scopes))

    def allow(self, asker: Asker, scope: Scope) -> None:
        """Let an asker do something that needs a scope.

        Raises
        ------
        CredentialsError
            If it needs a token and there is none.
        ForbiddenError
            If the token does not allow it.
        """
        if asker.may(scope):
            return
        if not asker.owner:
            raise CredentialsError(f"this needs a token with the scope {scope}; send it in the header Authorization: Bearer TOKEN")
        raise ForbiddenError(f"this needs the scope {scope}, and the token has {', '.join(sorted(asker.scopes))}; ask for a token with it")

    def spend(self, asker: Asker, questions: float = 1.0, now: float | None = None) -> None:
        """Count a costly question.

        Raises
        ------
        QuotaError
            If the asker asked too many in the last minute.
        """
        most = float(self._limits.costly_per_minute if asker.owner else self._limits.anonymous_costly_per_minute)
        now = time.monotonic() if now is None else now
        with self._lock:
            left, since = self._minutes.pop(asker.who, (most, now))
            left = min(most, left + (now - since) * most / 60.0)
            wait = (min(questions, most) - left) * 60.0 / most if most else 60.0
            self._minutes[asker.who] = (left if wait > 0 else left - min(questions, most), now)
            if len(self._minutes) > _MOST_ASKERS:
                del self._minutes[next(iter(self._minutes))]
        if wait > 0:
            setting = "serve.costly_per_minute" if asker.owner else "serve.anonymous_costly_per_minute"
            raise QuotaError(f"more than {most:g} costly questions in a minute ({setting}); ask again in {wait:.0f} s", wait)

    def rows_left(self, asker: Asker) -> int:
        """Say how many rows of results an asker may still have today.

        Raises
        ------
        QuotaError
            If it is none.
        """
        most = self._limits.rows_per_day if asker.owner else self._limits.anonymous_rows_per_day
        left = most - self._taken(asker.who)
        if left <= 0:
            setting = "serve.rows_per_day" if asker.owner else "serve.anonymous_rows_per_day"
            raise QuotaError(f"the {most:,} rows of a day are used up ({setting}); ask again tomorrow (UTC)", _DAY - time.time() % _DAY)
        return left

    def count_rows(self, who: str, rows: int) -> None:
        """Note that an asker took some rows; days long past are forgotten."""
        day = int(time.time() // _DAY)
        with self._state.connection() as connection:
            connection.execute("DELETE FROM rows_taken WHERE day < ?", (day - 31,))
            connection.execute(
                "INSERT INTO rows_taken (who, day, rows) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
                (who, day, rows),
            )

    def _taken(self, who: str) -> int:
        if not self._state.exists:
            return 0
        with self._state.connection() as connection:
            found = connection.execute("SELECT rows FROM rows_taken WHERE who = ? AND day = ?", (who, int(time.time() // _DAY))).fetchone()
        return int(found[0]) if found else 0

    def _read(self) -> dict[bytes, Token]:
        if not self._state.exists:
            return {}
        with self._state.connection() as connection:
            found = connection.execute("SELECT secret, name, owner, scopes, created, expires, revoked FROM tokens").fetchall()
        return {row[0]: Token(row[1], row[2], _scopes(row[3].split()), *row[4:]) for row in found}


def _scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    chosen = set(names)
    return tuple(scope for scope in SCOPES if scope in chosen)


def _digest(text: str) -> bytes:
    # a token is random and long, so that its plain digest is as good as a slow one
    return hashlib.sha256(text.encode()).digest()


def _neighbourhood(address: str) -> str:
    """Give the address whose quota it is: of IPv6 the network of 64 bits, all of which is one asker's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
