"""Notes: the name and the comments that somebody gave an object, kept in the user state."""

from __future__ import annotations

import time
from typing import Any

from fink.archive.state import State
from fink.errors import RequestError

LONGEST = {"internal_name": 100, "username": 100, "comments": 10_000}
"""Characters that each part may have."""

_COLUMNS = ("objectId", "internal_name", "internal_name_encoded", "username", "comments", "written")


class Notes:
    """The notes of one archive; an object has one, and who writes again replaces it.

    Parameters
    ----------
    state
        The user state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def write(self, survey: str, object_id: str, owner: str, *, internal_name: str, username: str, comments: str = "") -> dict[str, Any]:
        """Write the note of an object, and give it.

        Raises
        ------
        RequestError
            If a part is too long, or another object has that name.
        """
        for name, text in (("internal_name", internal_name), ("username", username), ("comments", comments)):
            if len(text) > LONGEST[name]:
                raise RequestError(f"{name} has {len(text)} characters, and may have {LONGEST[name]}; shorten it")
        encoded = internal_name.replace(" ", "")
        with self._state.connection() as connection:
            taken = connection.execute(
                "SELECT object_id FROM notes WHERE survey = ? AND encoded = ? AND object_id != ?", (survey, encoded, object_id)
            ).fetchone()
            if taken is not None:
                raise RequestError(f"internal_name = {internal_name!r} is the name of {taken[0]}; choose another")
            connection.execute(
                "INSERT OR REPLACE INTO notes (survey, object_id, name, encoded, username, comments, owner, written) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (survey, object_id, internal_name, encoded, username, comments, owner, time.time()),
            )
        return self.find(survey, object_id=object_id)[0]

    def find(
        self, survey: str, *, object_id: str | None = None, internal_name: str | None = None, encoded: str | None = None
    ) -> list[dict[str, Any]]:
        """Give the notes of an object, of a name with or without its blanks, or all, by object."""
        if not self._state.exists:
            return []
        wanted = {"object_id": object_id, "name": internal_name, "encoded": encoded}
        given = {column: value for column, value in wanted.items() if value is not None}
        conditions = "".join(f" AND {column} = ?" for column in given)
        text = f"SELECT object_id, name, encoded, username, comments, written FROM notes WHERE survey = ?{conditions} ORDER BY object_id"
        with self._state.connection() as connection:
            rows = connection.execute(text, (survey, *given.values())).fetchall()
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
