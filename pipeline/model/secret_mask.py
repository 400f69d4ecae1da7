"""Hides our own secrets in what another side says, before it is kept: however it spells them.

Enters: secrets, a text. Leaves: the text with `***` wherever one stands: as it is, with any of its characters escaped (as in JSON, XML, addresses), in
base64 at any place of a longer text, in hex.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable

HIDDEN = "***"
MIN_CHARACTERS = 4
"""Shorter ones are not looked for: they would be found in receipts and words, and whoever guesses finds them anyway."""
_MAX_PER_CHARACTER = 32
"""Characters that one character of a secret may be spelled with."""
_MIN_IN_BASE64 = 6
"""Fewer characters in a row would hide what is no secret."""


class SecretMask:
    """Callable: the text without the secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= MIN_CHARACTERS}, key=len, reverse=True)
        forms = [form for secret in known for form in (_spelled(secret), *_in_base64(secret.encode()), *_in_hex(secret.encode()))]
        self._pattern = re.compile("|".join(forms)) if forms else None
        self.longest = max((len(secret.encode()) * _MAX_PER_CHARACTER for secret in known), default=0)
        """How many characters a secret may take in a text: whoever cuts one short must look so far beyond."""

    def __call__(self, text: str) -> str:
        return self.beginning(text, len(text))

    def beginning(self, text: str, size: int) -> str:
        """The first `size` characters of the text, masked; a secret that begins within them is hidden whole, so give `longest` characters more."""
        made, at = [], 0
        for found in self._pattern.finditer(text) if self._pattern else ():
            if found.start() >= size:
                break
            made += [text[at : found.start()], HIDDEN]
            at = found.end()
        return "".join(made) + text[at : max(at, size)]


def _spelled(secret: str) -> str:
    """A pattern of the secret with each character as it is or escaped; NULs between, as of UTF-16 that was read as something else."""
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
    """What of a secret stands in the base64 of a longer text, whichever of three places it begins at."""
    found = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret).decode()
        certain = whole[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        if len(certain) >= _MIN_IN_BASE64:
            found.append("".join(r"(?:[+-]|%2[bB])" if c == "+" else r"(?:\\*[/_]|%2[fF])" if c == "/" else re.escape(c) for c in certain))
    return found


def _in_hex(secret: bytes) -> list[str]:
    return [rf"(?i:{secret.hex()})"] if len(secret) >= 4 else []
