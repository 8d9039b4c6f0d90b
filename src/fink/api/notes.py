"""The route of notes: the name and the comments that somebody gave an object."""

from __future__ import annotations

import pyarrow as pa

from fink.api.answers import Answer, TableAnswer
from fink.api.arguments import Argument
from fink.api.routes import OUTPUT, Question, Route
from fink.archive.state import State
from fink.columns import Column
from fink.errors import NotFoundError, RequestError
from fink.services.notes import Notes

_MEANINGS = {
    "key:key": Column("object_id", pa.string(), "", "meta.id;src", "Object"),
    "d:internal_name": Column("internal_name", pa.string(), "", "meta.id", "Name that somebody gave it"),
    "d:internal_name_encoded": Column("encoded", pa.string(), "", "meta.id", "The same without blanks, as it stands in addresses"),
    "d:username": Column("username", pa.string(), "", "meta.curation", "Who wrote it"),
    "d:comments": Column("comments", pa.string(), "", "meta.note", "Comments"),
}


def metadata(question: Question) -> Answer:
    """Write a note where it is sent, else give the notes of an object or a name."""
    notes = Notes(State(question.archive.folder))
    if question.writer is not None:
        return _write(question, notes)
    object_id, name, encoded = (question[key] for key in ("objectId", "internal_name", "internal_name_encoded"))
    if not (object_id or name or encoded):
        raise RequestError("objectId, internal_name or internal_name_encoded is missing; name an object, a name, or all")
    wanted = {} if "all" in (object_id, name, encoded) else {"object_id": object_id, "internal_name": name, "encoded": encoded}
    rows = notes.find(question.survey, **wanted)
    values = ("objectId", "internal_name", "internal_name_encoded", "username", "comments")
    columns = zip(_MEANINGS, values, strict=True)
    return TableAnswer(pa.table({public: pa.array([row[own] for row in rows], pa.string()) for public, own in columns}), _MEANINGS)


def _write(question: Question, notes: Notes) -> Answer:
    missing = [name for name in ("objectId", "internal_name", "username") if not question[name]]
    if missing:
        raise RequestError(f"{', '.join(missing)} is missing; a note names its object, the name that it gives, and who writes")
    object_id = str(question["objectId"])
    if object_id not in question.archive.object_names(object_id, question.survey, 1):
        raise NotFoundError(f"the archive has no object {object_id}")
    return notes.write(
        question.survey,
        object_id,
        question.writer or "",
        internal_name=question["internal_name"],
        username=question["username"],
        comments=question["comments"] or "",
    )


ROUTES = (
    Route(
        "/metadata",
        "Names and comments that users gave to objects: asked for by GET, written by POST with a token",
        (
            Argument("objectId", "text", "Object; all for every note", example="all"),
            Argument("internal_name", "text", "Name that somebody gave", example="my supernova"),
            Argument("internal_name_encoded", "text", "The same without blanks"),
            Argument("username", "text", "Who writes", example="ana"),
            Argument("comments", "text", "What there is to say"),
            OUTPUT,
        ),
        metadata,
        ("ztf",),
        writes=True,
    ),
)
