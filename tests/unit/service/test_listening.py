"""Where HTTP is served: what can't be listened on is told before anything starts, with the setting to change."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from flow.errors import SettingsError
from service.listening import bound_sockets, close_all


def test_a_port_that_is_free_is_bound_and_given_back():
    [bound] = bound_sockets("127.0.0.1", 0)
    port = bound.getsockname()[1]
    bound.listen()
    with pytest.raises(SettingsError, match=rf"^STREAMGAUGE_HTTP__PORT: {port} is in use on 127\.0\.0\.1: "):
        bound_sockets("127.0.0.1", port)
    close_all([bound])
    close_all(bound_sockets("127.0.0.1", port))


def test_a_port_is_free_again_as_soon_as_its_server_has_ended():
    [bound] = bound_sockets("127.0.0.1", 0)
    address = bound.getsockname()
    bound.listen()
    with closing(socket.create_connection(address)):
        served, _ = bound.accept()
        close_all([bound, served])
        close_all(bound_sockets(*address))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_names_the_setting_of_the_host(host):
    with pytest.raises(
        SettingsError, match=rf"^STREAMGAUGE_HTTP__HOST: can't listen on {host}: .*such as 127\.0\.0\.1"
    ):
        bound_sockets(host, 0)


def test_an_address_that_comes_twice_is_bound_once(monkeypatch):
    twice = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))] * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: twice)
    bound = bound_sockets("localhost", 0)
    close_all(bound)
    assert len(bound) == 1
