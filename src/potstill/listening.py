"""Sockets at which a command listens, their addresses, and requests that come back to it."""

import errno
import secrets
import socket
from collections.abc import Iterable

from potstill.errors import PotstillError, RecipeError


class Via:
    """The mark of a server in the ``Via`` header (RFC 9110, 7.6.3) of the requests that it sends on, by which it finds a loop."""

    def __init__(self) -> None:
        self._name = f"potstill-{secrets.token_hex(8)}"

    @property
    def header(self) -> str:
        """The value of the header."""
        return f"1.1 {self._name}"

    def is_in(self, values: Iterable[str]) -> bool:
        """Whether a request with these values of the header has passed this server."""
        return any(self._name in value for value in values)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any free one. Raises `PotstillError` where the port is taken, `RecipeError` where nothing can
    listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PotstillError(
                f"Port {port} is taken. Stop what uses it, or choose another one: --port {port + 1}."
            ) from error
        raise RecipeError(
            f"Cannot listen at {host}, port {port}: {error.strerror}. Choose others with --host and --port."
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """The address by which a client reaches a socket, such as ``http://127.0.0.1:8321``."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
