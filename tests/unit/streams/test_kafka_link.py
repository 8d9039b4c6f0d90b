"""Sessions in processes of their own: they answer, they can be ended whatever they do, and they end with the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fink.config import KafkaOutSettings
from fink.streams.kafka_follower import destination
from fink.streams.kafka_link import ProcessLink
from fink.streams.kafka_session import Answer, Failed, Open

NOWHERE = destination(KafkaOutSettings(servers="127.0.0.1:1", timeout=5))
"""A cluster that is not there: a session tells so in five seconds."""


def answered(link: ProcessLink, seconds: float = 60) -> Answer:
    until = time.monotonic() + seconds
    while (answer := link.answer(1.0)) is None:
        assert time.monotonic() < until
    return answer


def gone(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def test_a_session_answers_within_its_time() -> None:
    link = ProcessLink(NOWHERE)
    link.ask(Open("archive"))
    assert link.answer(0.0) is None
    answer = answered(link)
    assert isinstance(answer, Failed)
    assert answer.trouble == "again"
    assert "127.0.0.1:1" in answer.text
    link.end()
    assert gone(link.pid)


@pytest.mark.parametrize("while_stopped", [False, True])
def test_a_session_can_be_ended_while_it_hangs(while_stopped: bool) -> None:
    link = ProcessLink(NOWHERE)
    link.ask(Open("archive"))
    if while_stopped:
        os.kill(link.pid, signal.SIGSTOP)
    link.end()
    assert gone(link.pid)


def test_a_session_that_was_killed_says_so_and_takes_no_more() -> None:
    link = ProcessLink(NOWHERE)
    os.kill(link.pid, signal.SIGKILL)
    link.ask(Open("archive"))
    link.ask(Open("archive"))
    assert answered(link) == Failed("the process that sends to Kafka ended with status -9", "again")
    link.end()


def test_who_stops_the_run_does_not_stop_its_session() -> None:
    link = ProcessLink(NOWHERE)
    link.ask(Open("archive"))
    # the first answer shows that it has begun and minds signals
    assert isinstance(answered(link), Failed)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(link.pid, number)
    link.ask(Open("archive"))
    answer = answered(link)
    assert isinstance(answer, Failed)
    assert "status" not in answer.text
    link.end()


def test_a_session_ends_with_a_run_that_was_killed() -> None:
    program = (
        "import sys, time\n"
        "from fink.config import KafkaOutSettings\n"
        "from fink.streams.kafka_follower import destination\n"
        "from fink.streams.kafka_link import ProcessLink\n"
        "link = ProcessLink(destination(KafkaOutSettings(servers='127.0.0.1:1', timeout=60)))\n"
        "print(link.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    assert psutil.pid_exists(pid)
    run.kill()
    run.wait()
    run.stdout.close()
    assert gone(pid)
