"""The `[console]` table: where the console is served, under which name, and who is trusted before it (ADR 24)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pydantic import Field

from pipeline.model.message import message

from .parts import FilePath, Section, Texts


class ConsoleSettings(Section):
    """The console: the program's pages in a browser. Passkeys and cookies want a name and TLS, or `localhost`."""

    listen: str = Field(
        default="",
        pattern=r"^$|^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$",
        description="HOST:PORT to serve it on within `esep run`; empty serves nothing. Beyond this machine only with a certificate, and once there is a user",
    )
    address: str = Field(
        default="", description="the address that browsers call it by, such as https://esep.example.kz; `http://localhost:PORT` when empty"
    )
    certificate: FilePath | None = Field(default=None, description="the certificate and those above it, PEM; relative to this file")
    key: FilePath | None = Field(default=None, description="the certificate's private key, PEM, without a password; relative to this file")
    proxy_header: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9-]{1,100}$",
        description="a header by which a proxy before the console (with OIDC, say) names the user whom it signed in; none is believed when empty",
    )
    proxies: Texts = Field(
        default=("127.0.0.1", "::1"), description="the network addresses of that proxy: from others the header is ignored"
    )

    @property
    def is_loopback(self) -> bool:
        """Whether `listen` is reached from this machine alone."""
        return is_loopback(self.listen)


def is_loopback(listen: str) -> bool:
    """Whether HOST:PORT is reached from this machine alone."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def console_faults(console: ConsoleSettings) -> list[str]:
    """Faults across the table's keys."""
    faults = []
    if (console.certificate is None) != (console.key is None):
        faults.append(message("console: a certificate needs its key, and a key its certificate: name both files"))
    if console.listen and not console.is_loopback and console.certificate is None:
        faults.append(
            message(
                "console.listen: {listen} is reached from other machines, so it needs TLS: set console.certificate and console.key, or listen on localhost behind a proxy",
                listen=console.listen,
            )
        )
    if console.address:
        faults += _address_faults(console.address)
    for proxy in console.proxies:
        try:
            ipaddress.ip_address(proxy)
        except ValueError:
            faults.append(message("console.proxies: {proxy} is no IP address", proxy=repr(proxy)))
    return faults


def _address_faults(address: str) -> list[str]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    is_plain = host and parts.path in ("", "/") and not parts.query and parts.username is None
    if not is_plain or parts.scheme not in ("https", "http") or (parts.scheme == "http" and host != "localhost"):
        return [message("console.address: {address} must be like https://esep.example.kz, or http://localhost:8450", address=repr(address))]
    return []
