"""Brings the catalogues up to date with the program's messages and with the help of its commands: `make texts`.

Enters: the folder of the package `pipeline`. Leaves: each language's .po and .mo, written anew, and their paths on stdout.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.texts.collect import bring_up_to_date

from .commands import build
from .help_texts import help_messages

if __name__ == "__main__":
    for path in bring_up_to_date(Path(sys.argv[1]), help_messages(build())):
        print(path)
