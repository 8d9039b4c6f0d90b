"""A route asks for a token where it writes or costs, says why one is refused, and counts what each asker takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request

from fink.api.access import SECURITY, needs
from fink.config import ServeSettings, Settings
from fink.errors import CredentialsError, ForbiddenError, QuotaError
from fink.services.access import Access, Asker
from in_process import InProcess, answering

HOST = "192.0.2.1"


def orders(asker: Annotated[Asker, Depends(needs("order", costly=True))]) -> dict[str, str]:
    """Answer a question that is costly and needs a token."""
    return {"owner": asker.owner}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[InProcess]:
    limits = ServeSettings(costly_per_minute=2, anonymous_costly_per_minute=1)
    with answering(Settings(archive=tmp_path, serve=limits)) as client:
        client.application.add_api_route("/orders", orders, methods=["POST"])
        yield client


@pytest.fixture
def application(client: InProcess) -> FastAPI:
    return client.application


@pytest.fixture
def access(application: FastAPI) -> Access:
    found: Access = application.state.desk.access
    return found


def asked(application: FastAPI, authorization: str | None = None, host: str | None = HOST) -> Request:
    """Make the request that a route sees."""
    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    client = None if host is None else (host, 1234)
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "client": client, "app": application})


@pytest.mark.parametrize(
    ("host", "who"),
    [
        (HOST, "address:192.0.2.1"),
        ("2001:db8::1:2:3:4", "address:2001:db8::/64"),
        (None, "address:"),
    ],
)
def test_who_sends_no_token_is_an_address_that_reads(application: FastAPI, host: str | None, who: str) -> None:
    assert needs("read")(asked(application, host=host)) == Asker(who, "", frozenset({"read"}))
    with pytest.raises(CredentialsError, match="scope write; send it in the header Authorization: Bearer TOKEN"):
        needs("write")(asked(application, host=host))


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}  ", SECURITY["token"]["scheme"] + " {}"])
def test_a_token_says_who_asks_wherever_from(application: FastAPI, access: Access, form: str) -> None:
    token, text = access.create("ana", ["write"])
    known = Asker(f"token:{token.name}", "ana", frozenset({"write"}))
    assert needs("write")(asked(application, form.format(text))) == known
    assert needs("read")(asked(application, form.format(text), "198.51.100.9")) == known


@pytest.mark.parametrize("form", ["{}", "Basic {}", "Bearer", "Bearer   ", "Bearer{}"])
def test_what_is_no_bearer_token_is_refused_also_where_none_is_needed(application: FastAPI, access: Access, form: str) -> None:
    _, text = access.create("ana", ["write"])
    with pytest.raises(CredentialsError, match="Authorization is not understood; send Authorization: Bearer TOKEN"):
        needs("read")(asked(application, form.format(text)))


def test_a_token_that_is_not_known_or_was_revoked_does_not_even_read(application: FastAPI, access: Access) -> None:
    token, text = access.create("ana", ["write"])
    with pytest.raises(CredentialsError, match="the token is not known"):
        needs("read")(asked(application, f"Bearer {text}x"))
    assert needs("read")(asked(application, f"Bearer {text}")).owner == "ana"
    access.revoke(token.name)
    with pytest.raises(CredentialsError, match=f"the token {token.name} is revoked"):
        needs("read")(asked(application, f"Bearer {text}"))


def test_a_scope_is_asked_for_by_name_and_an_admin_has_all(application: FastAPI, access: Access) -> None:
    writer, admin = (f"Bearer {access.create(owner, [scope])[1]}" for owner, scope in (("ana", "write"), ("root", "admin")))
    with pytest.raises(ForbiddenError, match="needs the scope order, and the token has write"):
        needs("order")(asked(application, writer))
    assert [needs(scope)(asked(application, admin)).owner for scope in ("read", "write", "order", "admin")] == ["root"] * 4


def test_settings_may_allow_more_without_a_token(tmp_path: Path) -> None:
    with answering(Settings(archive=tmp_path, serve=ServeSettings(anonymous=("read", "order")))) as client:
        assert needs("order")(asked(client.application)).scopes == {"read", "order"}
        with pytest.raises(CredentialsError, match="scope write"):
            needs("write")(asked(client.application))


def test_costly_questions_are_counted_for_each_asker_and_others_are_not(application: FastAPI, access: Access) -> None:
    costly, cheap = needs("read", costly=True), needs("read")
    bearer = f"Bearer {access.create('ana', ['order'])[1]}"
    assert [cheap(asked(application)).who for _ in range(5)] == ["address:192.0.2.1"] * 5
    assert costly(asked(application)).who == "address:192.0.2.1"
    with pytest.raises(QuotaError, match=r"more than 1 costly .*serve\.anonymous_costly_per_minute"):
        costly(asked(application))
    assert costly(asked(application, host="198.51.100.9")).who == "address:198.51.100.9"
    assert [costly(asked(application, bearer)).owner for _ in range(2)] == ["ana"] * 2
    with pytest.raises(QuotaError, match=r"more than 2 costly .*\(serve\.costly_per_minute\)"):
        costly(asked(application, bearer))
    assert cheap(asked(application, bearer)).owner == "ana"


def test_a_question_that_is_not_allowed_costs_nothing(application: FastAPI) -> None:
    for _ in range(3):
        with pytest.raises(CredentialsError, match="scope order"):
            needs("order", costly=True)(asked(application))
    assert needs("read", costly=True)(asked(application)).who == "address:192.0.2.1"


def test_over_http_each_refusal_has_its_status_and_says_what_to_do(client: InProcess, access: Access) -> None:
    writer, ana = ({"Authorization": f"Bearer {access.create('ana', [scope])[1]}"} for scope in ("write", "order"))
    none, wrong = client.post("/orders"), client.post("/orders", headers={"Authorization": "Basic YW5hOmFuYQ=="})
    assert (none.status_code, wrong.status_code) == (401, 401)
    assert none.headers["www-authenticate"] == wrong.headers["www-authenticate"] == "Bearer"
    forbidden = client.post("/orders", headers=writer)
    assert (forbidden.status_code, forbidden.json()["instance"]) == (403, "/orders")
    assert [client.post("/orders", headers=ana).json() for _ in range(2)] == [{"owner": "ana"}] * 2
    spent = client.post("/orders", headers=ana)
    assert (spent.status_code, spent.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(spent.headers["retry-after"]) <= 30


def test_a_dependency_tells_the_documentation_what_it_needs() -> None:
    assert [(vars(made)["scope"], vars(made)["costly"]) for made in (needs("write"), needs("order", costly=True))] == [
        ("write", False),
        ("order", True),
    ]
