"""The command line `esep`: thin commands over `pipeline.app.app`, one module a group of them.

`main` is the program's entry: it runs one command and ends the process with its exit code (`frame.EXIT_CODES`). The commands are imported
only once the names that Esep is installed under are known to be its own (ADR 10).
"""

from __future__ import annotations

import gc
import os
import sys

from pipeline.model.errors import EsepError

from .names import check_names

COLLECTOR = (20_000, 20, 20)
"""After how many new objects, and collections of those, Python looks for cycles. Modules that are loaded leave no garbage: after every 700, its own rule, looking took a
twentieth of the time to start."""


def main() -> None:
    """Run the command line and end the process."""
    # Packages that are installed beside Esep must not reach into the checks of its settings; looking for them takes a twentieth of a second, too.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
    gc.set_threshold(*COLLECTOR)
    try:
        check_names()
    except EsepError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    from .commands import run_commands

    sys.exit(run_commands())
