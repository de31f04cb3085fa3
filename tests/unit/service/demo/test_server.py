from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from flow.errors import Rejected, Unavailable
from service.demo.server import DEFAULT_PORT, Server, ended_by_signals, environment, free_port, uninterrupted


def test_the_next_free_port_is_taken_and_one_that_was_named_is_refused_when_it_is_taken():
    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        first.listen()
        taken = first.getsockname()[1]
        with pytest.raises(Rejected, match=f"{taken} is taken"):
            free_port(taken)
    assert free_port(taken) == taken
    with socket.socket() as other:
        found = free_port(None)
        other.bind(("127.0.0.1", found))
        other.listen()
        assert DEFAULT_PORT <= found < free_port(None)


def test_no_setting_of_the_users_shell_reaches_the_demo():
    kept = environment({"PATH": "/bin", "STREAMGAUGE_REDIS__URL": "redis://production"}, "s")
    assert kept == {"PATH": "/bin", "STREAMGAUGE_SOURCES__GITHUB__SECRET": "s"}


def test_a_service_that_ends_is_noticed_with_what_it_said(tmp_path):
    log = tmp_path / "up.log"
    log.write_text("the folder is full\n")
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        server = Server(process, 8080, log)
        with pytest.raises(Unavailable, match=r"ended with code 3; it said:\nthe folder is full"):
            server.check()
        server.stop()


def test_a_termination_ends_the_demo_as_ctrl_c_does_and_not_its_cleaning_up():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
