"""A session in a process of its own: a client call that never comes back costs that process and nothing else.

``python -m fink.streams.kafka_link FD`` is that process: it reads requests from a socket, does them one after the other, and answers.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection

from fink.streams.kafka_session import Answer, Destination, Failed, Request, Session, answer


class ProcessLink:
    """A session in a child process.

    Parameters
    ----------
    destination
        Where it delivers.
    """

    def __init__(self, destination: Destination) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "fink.streams.kafka_link", str(theirs.fileno()), str(os.getpid())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._connection = Connection(ours.detach())
        # passwords go this way, since everybody can see a command line
        self._connection.send(destination)

    @property
    def pid(self) -> int:
        """Number of the child process."""
        return self._process.pid

    def ask(self, request: Request) -> None:
        """Send it a request."""
        try:
            self._connection.send(request)
        except OSError:
            # the answer says that it is gone
            return

    def answer(self, seconds: float) -> Answer | None:
        """Wait for its answer; None when none came yet."""
        try:
            if not self._connection.poll(seconds):
                return None
            received: Answer = self._connection.recv()
        except (EOFError, OSError):
            status = self._process.wait()
            return Failed(f"the process that sends to Kafka ended with status {status}", "again")
        return received

    def end(self) -> None:
        """Kill it: it may hang in a call that ignores every gentler wish."""
        self._process.kill()
        self._process.wait()
        self._connection.close()


def main(descriptor: int, parent: int) -> None:
    """Serve requests until the other end is gone."""
    from fink.streams.kafka_log import KafkaLog

    # who stops a run means the run, which ends this process when all is delivered
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection = Connection(descriptor)
    try:
        destination: Destination = connection.recv()
        session = Session(KafkaLog(destination), destination)
        while True:
            connection.send(answer(session, connection.recv()))
    except (EOFError, OSError):
        return


def _end_with(parent: int) -> None:
    """End this process with the run that started it, also in the middle of a call that hangs."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
