"""HTTP addresses of services, parsed once: nodes, filing, NCANode, time stamps, webhooks; for mail servers the host check alone.

Enters: an address from the settings. Leaves: its parts, scheme and host in lower case; or a ValueError that never shows the address,
which may hold secrets. Clients connect by this `Address`, never by the text, so that what was checked is what is used.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from .message import message

_NOT_PLAIN = re.compile(r"[^\x21-\x7e]|\\")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9.])?")
_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """An http or https address in parts."""

    is_tls: bool
    host: str
    """A name, or an IP address without brackets; lower case."""
    port: int
    path: str
    """With the query."""

    @property
    def name(self) -> str:
        """Scheme, host and port, for messages: with some services the path holds a secret."""
        return f"{'https' if self.is_tls else 'http'}://{self.host_in_url}:{self.port}"

    @property
    def host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_private(self) -> bool:
        """Whether nobody on the network can read the traffic: TLS, or this machine."""
        return self.is_tls or is_this_machine(self.host)


def parse_address(text: str, *, carries_secret: bool, default_port: int = 80) -> Address:
    """Parse an http or https address. `default_port`: the port of an http address without one.

    Raises ValueError for another scheme, a user or password in it, an invalid host, port or character, and, where a secret is sent
    (`carries_secret`), for plain http to another machine.
    """
    if not text:
        raise ValueError(message("is empty: write an address that begins with https://"))
    if _NOT_PLAIN.search(text):
        raise ValueError(
            message("has a space, a backslash, or another character that an address can't have: write it as %XX, and a host as xn--…")
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(message("has an invalid host or port: write it like https://host:8443/path")) from error
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not text[len(scheme) :].startswith("://"):
        raise ValueError(
            message("must begin with https:// (http:// only on this machine)")
            if carries_secret
            else message("must begin with https:// or http://")
        )
    if "@" in parts.netloc:
        raise ValueError(message("holds a user or password: they have settings of their own"))
    if parts.fragment or "#" in text:
        raise ValueError(message("has a # in it: what follows one is never sent"))
    host = host_of(parts.hostname or "")
    if port == 0:
        raise ValueError(message("has the invalid port 0"))
    address = Address(
        scheme == "https",
        host,
        port or (default_port if scheme == "http" else _PORTS[scheme]),
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    if carries_secret and not address.is_private:
        raise ValueError(message("must begin with https:// (http:// only on this machine): a secret travels"))
    return address


def parse_server(text: str) -> tuple[str, int]:
    """A server's host and port, of `host:port`: a mail server's, or a broker's. Raises ValueError for anything else."""
    try:
        address = parse_address(f"http://{text}", carries_secret=False, default_port=0)
    except ValueError:
        address = None
    if address is None or address.port == 0 or address.path != "/" or text.endswith("/"):
        raise ValueError(message("must be host:port"))
    return address.host, address.port


def host_of(text: str) -> str:
    """A host name or IP address in lower case. Raises ValueError for anything else."""
    host = text.lower()
    try:
        return str(ipaddress.ip_address(host)) if "%" not in host else _no_host()
    except ValueError:
        return host if _HOST.fullmatch(host) and ".." not in host else _no_host()


def _no_host() -> str:
    raise ValueError(message("has no valid host: write it like https://host:8443/path"))


def is_this_machine(host: str) -> bool:
    """Whether a host is localhost or a loopback IP address. No name is looked up."""
    try:
        return ipaddress.ip_address(host.lower()).is_loopback
    except ValueError:
        return host.lower() == "localhost"
