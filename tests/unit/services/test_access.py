"""Tokens are known, limited, and revoked; what askers take is counted."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from fink.archive.state import State
from fink.config import ServeSettings
from fink.errors import CredentialsError, ForbiddenError, NotFoundError, QuotaError, RequestError
from fink.services.access import Access, Asker


@pytest.fixture
def access(tmp_path: Path) -> Access:
    limits = ServeSettings(costly_per_minute=6, anonymous_costly_per_minute=2, rows_per_day=100, anonymous_rows_per_day=10)
    return Access(State(tmp_path), limits)


def test_a_token_is_known_by_its_text_alone_and_kept_as_a_digest(access: Access, tmp_path: Path) -> None:
    token, text = access.create(" ana ", ["order", "write"])
    asker = access.asker(text, "192.0.2.1")
    assert (asker.owner, asker.who) == ("ana", f"token:{token.name}")
    assert sorted(asker.scopes) == ["order", "write"]
    with pytest.raises(CredentialsError, match="not known"):
        access.asker(text[:-1], "192.0.2.1")
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    assert token.name in dump
    assert text not in dump
    assert text.rpartition("_")[2] not in dump


def test_a_token_that_was_revoked_or_is_over_is_one_no_more_also_to_a_server_that_runs(access: Access, tmp_path: Path) -> None:
    server = Access(State(tmp_path), ServeSettings())
    token, text = access.create("ana", ["write"])
    assert server.asker(text, "").owner == "ana"
    assert access.revoke(token.name).state(time.time()) == "revoked"
    with pytest.raises(CredentialsError, match=f"{token.name} is revoked"):
        server.asker(text, "")
    _, short = access.create("ana", ["write"], days=1e-9)
    with pytest.raises(CredentialsError, match="is expired"):
        server.asker(short, "")
    assert [entry.state(time.time()) for entry in access.tokens()] == ["expired", "revoked"]
    with pytest.raises(NotFoundError, match="fink token list"):
        access.revoke("nobody")


def test_scopes_allow_what_they_say(access: Access) -> None:
    _, text = access.create("ana", ["write"])
    ana, anybody = access.asker(text, ""), access.asker("", "192.0.2.1")
    access.allow(ana, "write")
    access.allow(anybody, "read")
    with pytest.raises(ForbiddenError, match="needs the scope order, and the token has write"):
        access.allow(ana, "order")
    with pytest.raises(CredentialsError, match="Authorization: Bearer"):
        access.allow(anybody, "write")
    _, text = access.create("root", ["admin"])
    access.allow(access.asker(text, ""), "order")
    for scopes, told in ((["wrote"], "did you mean write"), ([], "at least one scope")):
        with pytest.raises(RequestError, match=told):
            access.create("ana", scopes)


def test_owners_see_their_own_and_admins_all() -> None:
    ana, ben = Asker("token:1", "ana", frozenset({"order"})), Asker("token:2", "ben", frozenset({"order"}))
    somebody, neighbour = Asker("address:192.0.2.1"), Asker("address:192.0.2.2")
    root = Asker("token:3", "root", frozenset({"admin"}))
    assert [asker.owns("ana", "token:1") for asker in (ana, ben, somebody, root)] == [True, False, False, True]
    assert [asker.owns("", "address:192.0.2.1") for asker in (somebody, neighbour, ana, root)] == [True, False, False, True]


def test_costly_questions_come_back_with_time(access: Access) -> None:
    asker = Asker("address:192.0.2.1")
    access.spend(asker, now=100.0)
    access.spend(asker, now=100.0)
    with pytest.raises(QuotaError, match=r"more than 2 costly .* in 30 s") as refused:
        access.spend(asker, now=100.0)
    assert refused.value.after == pytest.approx(30)
    access.spend(Asker("address:192.0.2.2"), now=100.0)
    access.spend(asker, now=130.5)
    token = Asker("token:1", "ana")
    for _ in range(6):
        access.spend(token, now=100.0)
    with pytest.raises(QuotaError, match="more than 6"):
        access.spend(token, now=100.0)


def test_rows_of_a_day_are_used_up(access: Access, tmp_path: Path) -> None:
    asker = Asker("address:192.0.2.1")
    assert access.rows_left(asker) == 10
    access.count_rows(asker.who, 4)
    access.count_rows(asker.who, 4)
    assert Access(State(tmp_path), ServeSettings(anonymous_rows_per_day=10)).rows_left(asker) == 2
    access.count_rows(asker.who, 2)
    with pytest.raises(QuotaError, match="rows of a day are used up") as refused:
        access.rows_left(asker)
    assert 0 < refused.value.after <= 86400
    assert access.rows_left(Asker("token:1", "ana")) == 100


@pytest.mark.parametrize(
    ("address", "who"), [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("testclient", "testclient")]
)
def test_an_address_stands_for_its_network(access: Access, address: str, who: str) -> None:
    assert access.asker("", address) == Asker(f"address:{who}", scopes=frozenset({"read"}))
