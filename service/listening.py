"""The sockets that HTTP is served on, bound before anything else starts: a port in use is one clear message."""

from __future__ import annotations

import errno
import socket

from flow.errors import SettingsError


def bound_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host's name. Raises SettingsError when one can't be bound."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)
    except OSError as error:
        close_all(sockets)
        raise SettingsError([_problem(host, port, error)]) from None
    return sockets


def close_all(sockets: list[socket.socket]) -> None:
    """Give the addresses back."""
    for bound in sockets:
        bound.close()


def address_of(host: str, port: int) -> str:
    """The web address.

    >>> address_of("127.0.0.1", 8080), address_of("::1", 8080)
    ('http://127.0.0.1:8080', 'http://[::1]:8080')
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _problem(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"STREAMGAUGE_HTTP__PORT: {port} is in use on {host}: end what listens there, or choose another port"
        case errno.EACCES:
            return f"STREAMGAUGE_HTTP__PORT: this user may not listen on {port}: choose a port from 1024 on"
    fix = "name an address of this machine, such as 127.0.0.1"
    return f"STREAMGAUGE_HTTP__HOST: can't listen on {host}: {error.strerror}: {fix}"
