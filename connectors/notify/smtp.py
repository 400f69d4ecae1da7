"""Tells a notice by e-mail. Enters: a notice. Leaves: one message to all receivers, or a SourceError. In the clear only to this machine."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage

from pipeline.closing.notices import Notice
from pipeline.model.errors import SettingsError, SourceError

_HERE = ("127.0.0.1", "::1", "localhost")


class Mail:
    """`pipeline.closing.notices.Channel` by SMTP."""

    name = "smtp"

    def __init__(
        self, host: str, port: int, *, security: str, sender: str, receivers: Sequence[str], user: str = "", password: str = "", timeout_s: float = 20
    ) -> None:  # fmt: skip
        """Raises SettingsError for a server elsewhere without TLS."""
        if security == "none" and host not in _HERE:
            raise SettingsError([f"notices.smtp_security: none is for a mail server on this machine, not {host}"], source="notices")
        self._host, self._port, self._security, self._timeout_s = host, port, security, timeout_s
        self._sender, self._receivers, self._user, self._password = sender, list(receivers), user, password

    def tell(self, notice: Notice) -> None:
        """Send one message. Raises SourceError when the server did not take it for every receiver."""
        message = EmailMessage()
        message["Subject"] = f"Esep: {notice.subject}".replace("\n", " ")
        message["From"] = self._sender
        message["To"] = ", ".join(self._receivers)
        message["X-Esep-Notice"] = notice.name
        message.set_content(notice.text + "\n")
        try:
            trust = ssl.create_default_context() if self._security != "none" else None
            kind = smtplib.SMTP_SSL if self._security == "tls" else smtplib.SMTP
            with kind(self._host, self._port, timeout=self._timeout_s) as server:
                if self._security == "starttls":
                    server.starttls(context=trust)
                if self._user:
                    server.login(self._user, self._password)
                refused = server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise SourceError(f"mail server {self._host}:{self._port}: {type(error).__name__}", is_retryable=True) from error
        if refused:
            raise SourceError(f"mail server {self._host}:{self._port} refused {len(refused)} receiver(s)", is_retryable=True)
