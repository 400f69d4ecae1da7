"""Sends a notice by e-mail. Enters: a notice. Leaves: one message to all receivers, or a SourceError. Without TLS only to this machine."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import quote

from connectors.transport.deadline import connect, exchange, tls_context
from pipeline.closing.notices import Notice
from pipeline.model.address import host_of, is_this_machine
from pipeline.model.errors import SettingsError, SourceError
from pipeline.model.message import message

_MOST_BYTES = 1 << 20
"""Of all that the server says."""


class Mail:
    """`pipeline.closing.notices.Channel` by SMTP."""

    name = "smtp"

    def __init__(
        self, host: str, port: int, *, security: str, sender: str, receivers: Sequence[str], user: str = "", password: str = "", timeout_s: float = 20
    ) -> None:  # fmt: skip
        """Raises SettingsError for a server elsewhere without TLS."""
        try:
            host = host_of(host)
        except ValueError as error:
            raise SettingsError([message("notices.smtp_host: {error}", error=error)], source="notices") from None
        if security == "none" and not is_this_machine(host):
            raise SettingsError(
                [message("notices.smtp_security: none is for a mail server on this machine, not {host}", host=host)], source="notices"
            )
        self._host, self._port, self._security, self._timeout_s = host, port, security, timeout_s
        self._sender, self._receivers, self._user, self._password = sender, list(receivers), user, password

    def send(self, notice: Notice) -> None:
        """Send one message. Raises SourceError if the server did not accept it for every receiver."""
        mail = EmailMessage()
        mail["Subject"] = _line(f"Esep: {notice.subject}")
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._receivers)
        mail["X-Esep-Notice"] = quote(notice.name, safe=":/")
        mail.set_content(notice.text + "\n")
        refused: dict[str, tuple[int, bytes]] | None = None
        try:
            with exchange(self._timeout_s, _MOST_BYTES):
                trust = tls_context() if self._security != "none" else None
                with (
                    _TlsServer(self._host, self._port, context=trust)
                    if self._security == "tls"
                    else _Server(self._host, self._port) as server
                ):
                    if self._security == "starttls":
                        server.starttls(context=trust)
                    if self._user:
                        server.login(self._user, self._password)
                    refused = server.send_message(mail)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            if refused is None:  # else it was taken, and only the parting failed
                raise SourceError(
                    message("mail server {host}:{port}: {name}", host=self._host, port=self._port, name=type(error).__name__),
                    is_retryable=True,
                ) from error
        if refused:
            raise SourceError(
                message("mail server {host}:{port} refused {count} receiver(s)", host=self._host, port=self._port, count=len(refused)),
                is_retryable=True,
            )


class _Server(smtplib.SMTP):
    """Over timed sockets: the exchange bounds all that is said."""

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return connect(host, port)


class _TlsServer(smtplib.SMTP_SSL):
    """The same, within TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return self.context.wrap_socket(connect(host, port), server_hostname=host)


def _line(text: str) -> str:
    """One line: a header ends at a line's end."""
    return " ".join(text.split())
