"""The server process: pages and the interface for programs behind uvicorn, on a socket whose address is known before any question."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn

from fink.api.application import build_application, start_jobs
from fink.archive.rows import declared_columns
from fink.config import ServeSettings, Settings
from fink.errors import ConfigError
from fink.portal import application as portal
from fink.services.live import LiveArchive
from fink.vo import application as vo


def listen(archive: LiveArchive, settings: Settings, ready: Callable[[str], None] = lambda url: None) -> None:
    """Answer until the process is told to stop (SIGTERM or Ctrl-C).

    Parameters
    ----------
    ready
        Told the address, once connections are accepted.

    Raises
    ------
    ConfigError
        If nobody may listen at that address, or somebody does already.
    """
    bound = _bind(settings.serve)
    vocabulary = declared_columns()
    application = build_application(archive, vocabulary, settings)
    vo.mount(application, archive, vocabulary, settings)
    portal.mount(application, archive, vocabulary, settings)
    # a live feed never ends by itself: whoever follows one is cut off after a moment, and comes back to the next server
    config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    host, port = bound.getsockname()[:2]
    ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    with closing(start_jobs(application)):
        server.run(sockets=[bound])


def _bind(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # the protocol by name: else asyncio does not know it for TCP, and an answer's second part waits 40 ms for the first's receipt
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise ConfigError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another port") from error
    return bound
