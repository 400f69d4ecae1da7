"""Masks this program's secrets in answers of other systems before they are stored.

Enters: secrets, a text. Leaves: the text with `***` in place of each secret: written plainly, with escaped characters (as in JSON, XML,
URLs), in hex, or in base64 at any offset of a longer text.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable

HIDDEN = "***"
MIN_CHARACTERS = 4
"""Shorter secrets are not masked: they would match ordinary words and receipts, and can be guessed anyway."""
_MAX_PER_CHARACTER = 32
"""The most characters that the escaped form of one character takes."""
_MIN_IN_BASE64 = 6
"""Shorter base64 fragments are not masked: they would match other text."""


class SecretMask:
    """Callable: the text without the secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= MIN_CHARACTERS}, key=len, reverse=True)
        forms = [form for secret in known for form in (_spelled(secret), *_in_base64(secret.encode()), *_in_hex(secret.encode()))]
        self._pattern = re.compile("|".join(forms)) if forms else None
        self.longest = max((len(secret.encode()) * _MAX_PER_CHARACTER for secret in known), default=0)
        """The most characters that a secret takes in a text: to truncate a text, read this many characters beyond the cut."""

    def __call__(self, text: str) -> str:
        return self.beginning(text, len(text))

    def beginning(self, text: str, size: int) -> str:
        """The first `size` characters of the text, masked. Pass `longest` more characters, so that a secret across the cut is masked whole."""
        made, at = [], 0
        for found in self._pattern.finditer(text) if self._pattern else ():
            if found.start() >= size:
                break
            made += [text[at : found.start()], HIDDEN]
            at = found.end()
        return "".join(made) + text[at : max(at, size)]


def _spelled(secret: str) -> str:
    """A pattern of the secret with each character plain or escaped; also with NULs between (UTF-16 decoded as a one-byte encoding)."""
    return "\x00?".join(_letter(letter) for letter in secret)


def _letter(letter: str) -> str:
    number = ord(letter)
    octets = letter.encode("utf-8", "surrogatepass")
    units = letter.encode("utf-16-be", "surrogatepass")
    escapes = "".join(rf"\\+u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2))
    ways = [
        re.escape(letter),
        "".join(rf"%(?:25)*(?i:{octet:02x})" for octet in octets),
        "".join(rf"\\+x(?i:{octet:02x})" for octet in octets),
        escapes,
        rf"&(?:amp;)*#0*{number};",
        rf"&(?:amp;)*#[xX]0*(?i:{number:x});",
        rf"\\+{re.escape(letter)}",
    ]
    if (named := html.escape(letter)) != letter:
        ways.append(re.escape(named))
    if letter == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"


def _in_base64(secret: bytes) -> list[str]:
    """The base64 fragments that a secret leaves in a longer text, one for each of the three alignments."""
    found = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode()
        certain = whole[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        if len(certain) >= _MIN_IN_BASE64:
            found.append("".join(r"(?:[+-]|%2[bB])" if c == "+" else r"(?:\\*[/_]|%2[fF])" if c == "/" else re.escape(c) for c in certain))
    return found


def _in_hex(secret: bytes) -> list[str]:
    return [rf"(?i:{secret.hex()})"] if len(secret) >= 4 else []
