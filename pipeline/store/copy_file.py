"""Copy a file over another, writing only what differs. A program of its own: `python copy_file.py FROM TO`.

Enters: the two paths; TO is empty, or an earlier copy that nobody needs any longer. Leaves: TO with FROM's bytes; on standard output `shared` where the file
system can share blocks between files, else how many bytes were written. Exit code 3, and TO is as it was, when another process has TO open, or it has another name besides: what they
hold must not change.

It runs apart because closing a file releases all POSIX locks that its process holds on it, also DuckDB's. It uses the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys

IN_USE = 3
SHARED = "shared"
AT_ONCE = 1 << 18
"""Bytes compared at a time: DuckDB's block."""
_FICLONE = 0x40049409
"""linux/fs.h: on XFS and Btrfs both files share their blocks until one of them changes, so that a copy costs what changes after it, in time and in space. Other
file systems refuse it."""


def copy_over(source: int, copy: int) -> int | None:
    """Make the copy's bytes the source's, of two open files; how many were written, None when the blocks are shared. Raises OSError."""
    try:
        fcntl.ioctl(copy, _FICLONE, source)
        return None
    except OSError:
        pass
    size, written = os.fstat(source).st_size, 0
    for start in range(0, size, AT_ONCE):
        wanted = os.pread(source, AT_ONCE, start)
        if os.pread(copy, AT_ONCE, start) != wanted:
            at = 0
            while at < len(wanted):
                at += os.pwrite(copy, wanted[at:], start + at)
            written += len(wanted)
    os.ftruncate(copy, size)
    return written


def is_ours_alone(copy: int) -> bool:
    """Whether the file has one name, and no other process has it open: the kernel gives a write lease only then, and whoever opens it later waits until this
    process closes it. False where the file system gives no leases."""
    try:
        fcntl.fcntl(copy, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        return False
    return os.fstat(copy).st_nlink == 1


def main(source_path: str, copy_path: str) -> int:
    """Copy; the exit code."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when another process opens the leased file: it then waits
    source = os.open(source_path, os.O_RDONLY)
    copy = os.open(copy_path, os.O_RDWR)
    if os.fstat(copy).st_size:
        if not is_ours_alone(copy):
            return IN_USE
        os.fchmod(copy, 0o600)
    written = copy_over(source, copy)
    print(SHARED if written is None else written)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
