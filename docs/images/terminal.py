"""Draws `cli.svg` from what the commands really print: `python docs/images/terminal.py VAR`, VAR as `esep demo` left it before the waiver."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 148
OUTFLOW = "d4dcae3cb3112ed9b2ef6c2a24b493f6fefbac4e117c6c4e0b10908cd739dfd9:1"
COMMANDS = (
    "esep issues 2026-10 --blocking",
    f'esep waive 2026-10 unknown-outflow {OUTFLOW} --by "A. Person" --reason "refund, letter of 2 November"',
    'esep freeze 2026-10 --by "A. Person"',
    "esep verify 2026-10 --test-network",
    "esep replay 2026-10",
)


def printed(command: str, folder: Path) -> str:
    """What the command prints on a terminal of our width, without the progress bars, which are on stderr."""
    master, slave = pty.openpty()
    environ = os.environ | {
        "ESEP_CONFIG": "esep.toml",
        "COLUMNS": str(WIDTH),
        "TERM": "xterm-256color",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        command, shell=True, stdout=slave, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=folder, env=environ
    )
    os.close(slave)
    chunks = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the terminal's other side was closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    process.wait()
    return b"".join(chunks).decode().replace("\r\n", "\n")


def main() -> None:
    folder = Path(sys.argv[1])
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), command))
            console.print(Text.from_ansi(printed(command, folder)))
    # The picture stands alone: it asks nobody for a font.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="esep"), flags=re.DOTALL).replace(
        "Fira Code, monospace", "monospace"
    )
    Path(__file__).with_name("cli.svg").write_text(re.sub(r"\s*<!--.*?-->", "", svg), encoding="utf-8")


if __name__ == "__main__":
    main()
