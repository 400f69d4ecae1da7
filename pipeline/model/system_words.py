"""What the operating system says of a file, a folder or a connection, so that it can be said in the reader's language.

Enters: an OSError. Leaves: its sentence: a message where it is one of those that people meet, else the system's own English text.
"""

from __future__ import annotations

import errno
from typing import Final

from .message import message, text_of

_SENTENCES: Final = {
    errno.ENOENT: message("No such file or directory"),
    errno.EACCES: message("Permission denied"),
    errno.EPERM: message("Operation not permitted"),
    errno.EISDIR: message("Is a directory"),
    errno.ENOTDIR: message("Not a directory"),
    errno.EEXIST: message("File exists"),
    errno.ENOTEMPTY: message("Directory not empty"),
    errno.ELOOP: message("Too many levels of symbolic links"),
    errno.ENAMETOOLONG: message("File name too long"),
    errno.EMFILE: message("Too many open files"),
    errno.ENOSPC: message("No space left on device"),
    errno.EDQUOT: message("Disk quota exceeded"),
    errno.EROFS: message("Read-only file system"),
    errno.EIO: message("Input/output error"),
    errno.ECONNREFUSED: message("Connection refused"),
    errno.ECONNRESET: message("Connection reset by peer"),
    errno.EHOSTUNREACH: message("No route to host"),
    errno.ENETUNREACH: message("Network is unreachable"),
    errno.ETIMEDOUT: message("Connection timed out"),
    errno.EADDRINUSE: message("Address already in use"),
    errno.EADDRNOTAVAIL: message("Cannot assign requested address"),
}
"""In the words that Linux has for them: English texts are the same whether they were looked up here or not."""


def system_words(error: OSError) -> str:
    """The system's sentence for the error, without the file's name; "" where it has none (an error that no system call raised)."""
    known = _SENTENCES.get(error.errno) if error.errno is not None else None
    return known if known is not None and known == error.strerror else error.strerror or ""


def trouble_text(error: BaseException) -> str:
    """As `text_of`; of the system's errors the file, where one is named, and the sentence."""
    if not isinstance(error, OSError) or error.errno is None or not error.strerror:
        return text_of(error)
    said = system_words(error)
    return said if error.filename is None else message("{path}: {strerror}", path=error.filename, strerror=said)
