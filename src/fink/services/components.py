"""Real servers for a laptop, for tests and for continuous integration: fetched once, started, checked, stopped.

A cluster brings its own; nothing here is needed by the embedded broker. A server lives in a folder that holds its data, its log and a
lock which it keeps for as long as it runs, so that whether it runs is never guessed from a number that another process may have by now.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import orjson

from fink.errors import ComponentError

STATE, LOCK, LOG = "server.json", "server.lock", "server.log"
PATIENCE = 60.0
"""Seconds that a server may take to answer after its start, on a busy machine [s]."""

_LAST_LINES = 12


class Component(Protocol):
    """A server that Fink can fetch, start, check and stop."""

    def up(self) -> None:
        """Start the server where it does not run, and wait until it answers."""

    def down(self) -> None:
        """Stop the server where it runs, and wait until it has ended."""

    def status(self) -> dict[str, Any]:
        """Say whether the server runs and answers, and where."""


def cache_folder() -> Path:
    """Give the folder for what is fetched once for all: ``FINK_CACHE``, else ``~/.cache/fink``."""
    beside = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fink"
    return Path(os.environ.get("FINK_CACHE") or beside)


def program(name: str, remedy: str) -> str:
    """Find a program.

    Raises
    ------
    ComponentError
        If it is not installed.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=f"{home}/bin") if home else None
    found = found or shutil.which(name)
    if found is None:
        raise ComponentError(f"there is no program {name} here; {remedy}")
    return found


def java(name: str = "java") -> str:
    """Find a program of the Java runtime.

    Raises
    ------
    ComponentError
        If Java is not installed.
    """
    return program(name, "install Java 17 or newer (Debian: apt-get install default-jre-headless), or set JAVA_HOME")


def jars(pom: str, name: str) -> Path:
    """Give the folder with the Java archives that a Maven project needs; they are fetched the first time.

    Parameters
    ----------
    pom
        The project, as XML.
    name
        What the folder in the cache is called, before the digest of the project.

    Raises
    ------
    ComponentError
        If Maven is not installed or cannot fetch them.
    """
    folder = cache_folder() / "jars" / f"{name}-{hashlib.sha256(pom.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    maven = program("mvn", f"install Maven (Debian: apt-get install maven), or copy the folder {folder} from a machine that has it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held(folder.with_suffix(".lock")), tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        if not folder.exists():
            (Path(scratch) / "pom.xml").write_text(pom)
            fetch = [maven, "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={scratch}/lib"]
            run_to_end(fetch, f"fetching the jars of {name}", cwd=scratch)
            (Path(scratch) / "lib").replace(folder)
    return folder


def run_to_end(command: Sequence[str], purpose: str, **options: Any) -> None:
    """Run a program and wait for its end.

    Raises
    ------
    ComponentError
        If it fails; the message ends with what it printed last.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise ComponentError(f"{purpose} failed with status {done.returncode}:\n{_last_lines(done.stdout)}")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file while the context lasts, after waiting for whoever holds it."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Find ports of the loopback address that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class ServerProcess:
    """A server in the background that outlives the command which started it.

    Parameters
    ----------
    folder
        Where its data, log and lock lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        path = self.folder / LOCK
        if not path.exists():
            return False
        with open(path) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def pid(self) -> int:
        """Number of the process that was started last; 0 before the first."""
        path = self.folder / STATE
        return int(orjson.loads(path.read_bytes())["pid"]) if path.exists() else 0

    def start(self, command: Sequence[str], answers: Callable[[], bool]) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        ComponentError
            If it ends or does not answer in `PATIENCE`; the message ends with the last lines of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / LOCK, "w") as lock, open(self.folder / LOG, "ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the child keeps the lock for as long as it lives; this process lets go of it at once
            self._process = process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        (self.folder / STATE).write_bytes(orjson.dumps({"pid": process.pid}))
        deadline = time.monotonic() + PATIENCE
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                why = "ended" if process.poll() is not None else f"does not answer after {PATIENCE:.0f} s"
                self.stop(signal.SIGKILL)
                raise ComponentError(f"the server in {self.folder} {why}; its log says:\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM, patience: float = PATIENCE) -> None:
        """End the server and wait until it has ended; one that does not listen is killed."""
        if not self.running:
            return
        self._send(number)
        deadline = time.monotonic() + patience
        while self.running:
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            time.sleep(0.05)
        if self._process is not None:
            self._process.wait()

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def log_tail(self) -> str:
        """Give the last lines of its log."""
        path = self.folder / LOG
        return _last_lines(path.read_text(errors="replace")) if path.exists() else ""


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-_LAST_LINES:])
