"""Who may open the live page: the address it is served at, the names it answers to, the token."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence

from tornado.httputil import HTTPServerRequest

from replay.engine.rows import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that no other machine can use."""
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:@/\[\]]+)(:\d+)?", re.ASCII)
"""A Host header in lower case: a name or an address, and a port."""
TOKEN_BYTES = 18


def parse_address(text: str) -> tuple[str, int]:
    """Return the host and the port of HOST:PORT. Without a host it is 127.0.0.1.

    Raises
    ------
    InputError
        If the text is not an address.
    """
    host, _, port = text.strip().rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare and bare == host:
        raise InputError(f"--serve is {text!r}; write [HOST]:PORT with an IPv6 address")
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise InputError(f"--serve is {text!r}; it must be HOST:PORT, such as 127.0.0.1:8080")
    return bare or "127.0.0.1", int(port)


def bracketed(host: str) -> str:
    """Return a host as it is written in a URL."""
    return f"[{host}]" if ":" in host else host


class Access:
    """Decides which requests are answered.

    A request must name a host that is known. A page of another site cannot get round this: its own
    name is not known, even if its name server sends the browser to this machine (DNS rebinding).
    Where other machines can connect, the path must begin with a token too.

    Parameters
    ----------
    host
        The host that was asked for.
    bound
        The address that the server is bound to.
    allowed
        More names under which browsers may open the page.

    Attributes
    ----------
    is_open
        Whether other machines can connect.
    token
        The first part of every path; empty if only this machine can connect.

    Raises
    ------
    InputError
        If a name is not a host name, or the server listens on every network and no name is given.
    """

    def __init__(self, host: str, bound: str, allowed: Sequence[str] = ()) -> None:
        names = [_name(text) for text in allowed]
        address = ipaddress.ip_address(bound)
        self.is_open = not address.is_loopback
        if address.is_unspecified and not names:
            raise InputError(
                f"--serve {bracketed(host)} listens on every network of this machine; add "
                "--allow-host NAME, the name or address by which browsers will open the page"
            )
        self.token = secrets.token_urlsafe(TOKEN_BYTES) if self.is_open else ""
        if not address.is_unspecified:
            names.insert(0, host)
        self.name = bracketed(names[0])
        self._hosts = {bracketed(name.lower()) for name in (*LOOPBACK, *names)}

    @property
    def path(self) -> str:
        """The path of the page."""
        return f"/{self.token}/" if self.token else "/"

    @property
    def cost(self) -> str:
        """Who can read the page, for the person who starts it."""
        if not self.is_open:
            return "every user of this machine can read it, and no other machine"
        return (
            "other machines can connect: whoever knows this address can read every series shown, "
            "and so can whoever can read the traffic, which is not encrypted"
        )

    def permits(self, request: HTTPServerRequest) -> bool:
        """Whether a request is to be answered."""
        host = _only(request.headers.get_list("Host"))
        found = HOST.fullmatch(host)
        if found is None or found[1] not in self._hosts:
            return False
        origins = request.headers.get_list("Origin")
        if origins and _only(origins) not in (f"http://{host}", f"https://{host}"):
            return False
        return hmac.compare_digest(request.path.encode()[: len(self.path)], self.path.encode())


def _name(text: str) -> str:
    name = text.strip().removeprefix("[").removesuffix("]")
    if not HOST.fullmatch(bracketed(name.lower())):
        raise InputError(
            f"--allow-host is {text!r}; it must be a name or an address without a port, such as "
            "plant-7.example"
        )
    return name


def _only(values: Iterable[str]) -> str:
    """The one value of a header; empty if there are none or more."""
    first, *others = *values, ""
    return "" if len(others) > 1 else first.strip().lower()
