"""One tree of errors: each message names the thing, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FinkError(Exception):
    """Anything that Fink refuses or cannot do; its text is written for the person who reads it."""


class ConfigError(FinkError):
    """A setting is unknown, badly typed, or contradicts another."""


class ConditionError(FinkError):
    """A condition does not parse, or names what does not exist; ``at`` is the character of its text where that shows, from 0."""

    def __init__(self, message: str, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at


class PlanError(FinkError):
    """Modules, columns or filters do not fit together."""


class PacketError(FinkError):
    """Bytes that are not the alert they claim to be; ``reason`` is what the quarantine records."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SchemaError(FinkError):
    """An Avro schema is unknown, cannot be read, or is of a version that is not supported."""


class RegistryError(SchemaError):
    """The schema registry does not answer; it may later."""


class SourceError(FinkError):
    """A source of alerts is not there or cannot be read."""


class ArchiveError(FinkError):
    """The archive is not there, is held by another run, or contradicts itself."""


class QueryError(FinkError):
    """An SQL query does not parse, names what does not exist, is not allowed, or takes too long."""


class HeldError(ArchiveError):
    """The archive is held by another process, which can be asked to do what is wanted."""


class FollowerError(FinkError):
    """A follower cannot prove where it stopped, or may not deliver."""


class ComponentError(FinkError):
    """A server that Fink was asked to start cannot be fetched or started, or does not answer."""


class ModuleError(FinkError):
    """A science module gave something else than it declared."""


class ArtifactError(FinkError):
    """A map, catalogue or model is there but cannot be read."""


class RequestError(FinkError):
    """A question is asked wrongly: an argument is missing, unknown, or has a value that it cannot have."""


class BusyError(FinkError):
    """Too much is asked at once; the same question may be asked again in a moment."""


class CatalogueError(FinkError):
    """A catalogue cannot be imported or read, or is asked for what it does not hold."""


class RefusedError(FinkError):
    """What a user asks for belongs to somebody else, comes too often, or would cost or select too much."""


class CredentialsError(FinkError):
    """A token is needed and was not sent, or is not valid."""


class ForbiddenError(RefusedError):
    """What is asked for belongs to somebody else, or the token does not allow it."""


class QuotaError(RefusedError):
    """Somebody asked for more than may be taken; ``after`` is when it may be asked again [s]."""

    def __init__(self, message: str, after: float = 3600.0) -> None:
        super().__init__(message)
        self.after = after


class NetworkError(FinkError):
    """A service on the network that a question needs is not configured, does not answer, or gives what cannot be read."""


class NotFoundError(FinkError):
    """What was asked for is not in the archive or in a registry."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give ``"; did you mean X?"`` for the nearest known name, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
