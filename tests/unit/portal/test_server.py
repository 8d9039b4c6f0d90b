"""The server says where it listens, and refuses an address that it cannot have."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from fink.config import Settings
from fink.errors import ConfigError
from fink.portal.server import _bind, listen
from unit.api.conftest import Served


def test_a_port_in_use_is_told() -> None:
    archive: Any = None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*choose another port"):
            listen(archive, Settings.model_validate({"serve": {"host": "127.0.0.1", "port": port}}))


def test_the_address_that_was_told_answers(served: Served) -> None:
    assert served.client.get("/api/v1/tags").status_code == 200


def test_connections_are_known_to_asyncio_as_tcp_so_that_answers_are_sent_at_once() -> None:
    with _bind(Settings.model_validate({"serve": {"port": 0}}).serve) as bound:
        assert bound.proto == socket.IPPROTO_TCP
