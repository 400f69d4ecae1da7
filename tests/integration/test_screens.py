"""What a person reads on a terminal of 80 columns, in Kazakh and Russian: each screen as it was read and kept, and no line wider than the terminal.

`ESEP_GOLDEN=write pytest tests/integration/test_screens.py` writes the kept screens anew; read the difference as the person who must act on it would.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from pipeline.cli import frame

from ..terminal import shown
from .example_month import OUTFLOW, esep

KEPT = Path(__file__).parents[1] / "golden" / "kept" / "screens"
AT = 1_793_900_000
"""5 November 2026: the month is over and not yet due."""
COLUMNS = 80
ENGLISH = {
    "the",
    "and",
    "of",
    "is",
    "are",
    "was",
    "not",
    "with",
    "for",
    "by",
    "no",
    "has",
    "this",
    "that",
    "yet",
    "day",
    "days",
    "row",
    "rows",
    "block",
}
"""Words that stand in no command, setting or path, so that they show a text that nobody translated."""


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    """Runs a command as on a terminal of 80 columns, in a language, at `AT`; what it printed, nothing wiped."""
    monkeypatch.setattr(frame, "time", SimpleNamespace(time=lambda: AT))
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    for console in (frame.out, frame.err):
        monkeypatch.setattr(console, "_width", COLUMNS)
        monkeypatch.setattr(console, "_color_system", None)
        monkeypatch.setattr(console, "_force_terminal", True)

    def run(language: str, *words: object, code: int = 0) -> str:
        monkeypatch.setenv("ESEP_LANG", language)
        capsys.readouterr()
        ended = esep(*words)
        printed = capsys.readouterr()
        text = "\n".join(part for part in map(shown, (printed.out, printed.err)) if part)
        assert ended == code, text
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    yield run


def kept(language: str, name: str, text: str) -> None:
    """Compare with the kept screen, or write it when told to; first what holds for every screen."""
    wide = [line for line in text.splitlines() if cell_len(line) > COLUMNS]
    assert not [line for line in wide if len(line.split()) > 1], f"wider than {COLUMNS} columns: {wide}"
    spoken = re.sub(
        r"\besep( [a-z][a-z-]*)+( [A-Z-]+)?|[\w./~-]+\.(toml|pdf|xlsx|sqlite|duckdb|p12)|https?://\S+|--?[a-z-]+|\[[^\]]*\]", " ", text
    )
    spoken = spoken.partition("(docs/rules.md):")[0]  # what follows is said to be English
    assert not ENGLISH & set(re.findall(r"\b[a-z]+\b", spoken)), (
        f"English words in {language}: {sorted(ENGLISH & set(re.findall(r'[a-z]+', spoken)))}\n{text}"
    )
    path = KEPT / language / f"{name}.txt"
    if os.environ.get("ESEP_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: ESEP_GOLDEN=write writes it anew, then read the difference"


@pytest.fixture
def at_hand(blocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recorded month before its blocking issue is waived, in a folder of its own that is the current one."""
    shutil.copytree(blocked, tmp_path / "var")
    config = tmp_path / "var" / "esep.toml"
    config.write_text(config.read_text(encoding="utf-8").replace(str(blocked), "."), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "var")
    return config


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_screens_of_a_month_that_is_brought_to_its_end(language: str, at_hand: Path, screen: Callable[..., str]) -> None:
    kept(language, "status", screen(language, "status"))
    kept(language, "status-month", screen(language, "status", "2026-10"))
    kept(language, "issues", screen(language, "issues", "2026-10"))
    kept(language, "issues-blocking", screen(language, "issues", "2026-10", "--blocking"))
    kept(language, "freeze-refused", screen(language, "freeze", "2026-10", "--by", "A. Person", code=3))
    waived = screen(language, "waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
    kept(language, "waive", waived)
    kept(language, "freeze", screen(language, "freeze", "2026-10", "--by", "A. Person"))
    kept(language, "freeze-again", screen(language, "freeze", "2026-10", "--by", "A. Person"))
    kept(language, "status-frozen", screen(language, "status"))
    kept(language, "close-dry-run", screen(language, "close", "--dry-run"))
    kept(language, "calendar", screen(language, "calendar"))
    kept(language, "query", screen(language, "query", "--saved", "payouts-by-miner"))


@pytest.mark.parametrize("language", ["kk", "ru"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("help", ["--help"]),
        ("help-status", ["status", "--help"]),
        ("help-freeze", ["freeze", "--help"]),
        ("help-import", ["import", "--help"]),
        ("rule", ["rule", "5.3"]),
        ("rules", ["rule"]),
    ],
)
def test_the_screens_of_help(language: str, name: str, words: list[str], screen: Callable[..., str]) -> None:
    kept(language, name, screen(language, *words))


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_screen_of_a_wrong_command_line(language: str, at_hand: Path, screen: Callable[..., str]) -> None:
    kept(language, "wrong-command-line", screen(language, "approve", "2026-10", "--by", "A. Person", code=2))
