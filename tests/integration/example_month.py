"""Where the recorded month lies, what it must come to, and a way to run a command in this process."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from pipeline.cli.commands import build
from pipeline.cli.frame import run
from pipeline.cli.help_texts import translate_help

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "docs" / "example" / "2026-10"
OUTFLOW = "d4dcae3cb3112ed9b2ef6c2a24b493f6fefbac4e117c6c4e0b10908cd739dfd9:1"
DIGEST = "f5fed8388edefd70b4f7980884899e2be207ce1997a58c9f53e1d441ec3d84b7"
LOOKED_AT = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())


def esep(*arguments: object) -> int:
    """A command, in this process; its exit code."""
    return run(build(), [str(argument) for argument in arguments], prepare=translate_help)


def closing_at() -> int:
    """Past the pool's day of filing, and past a freeze of the recorded month by the machine's clock until now, whenever the tests run."""
    return max(int(time.time()), LOOKED_AT) + 3600
