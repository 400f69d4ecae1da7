"""What the packed verifier says before it has unpacked itself: sentences that `.ci/verifier.py` puts into the file in every language (ADR 16).

Values stand in them as `{name}`. Nothing of the project can be imported where they are said, whatever Python says them.
"""

from __future__ import annotations

from typing import Final

from pipeline.texts import N_

SENTENCES: Final = {
    "other": N_(
        "this file is for Python {wanted} on {wanted_platform}, and this is Python {found} on {found_platform}: run it there, or make one here with 'make verifier'"
    ),
    "damaged": N_("{file}: damaged or cut off ({error}): have it copied again"),
    "no place": N_(
        "{folder}: this file can't unpack itself there, it takes {size} MiB ({error}): free space, or name another folder by TMPDIR=/FOLDER"
    ),
    "no programs": N_("{folder}: no program may run from there (noexec): name another folder by TMPDIR=/FOLDER"),
    "ended": N_("nothing is said of the bundle: signal {number} ended the checks; for want of memory, if it is 9"),
}
