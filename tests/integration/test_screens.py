"""What a person reads on a terminal of 80 columns, in Kazakh and Russian: each screen as it was read and kept, and no line wider than the terminal.

`ESEP_GOLDEN=write pytest tests/integration/test_screens.py` writes the kept screens anew; read the difference as the person who must act on it would.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import xlsxwriter
from rich.cells import cell_len

from pipeline.cli import frame

from ..terminal import ENGLISH, shown
from .example_month import OUTFLOW, RECORDED, esep

KEPT = Path(__file__).parents[1] / "golden" / "kept" / "screens"
AT = 1_793_900_000
"""5 November 2026: the month is over and not yet due."""
COLUMNS = 80
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Of a submission: it is another one each time."""


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
        text = re.sub(UUID, "00000000-0000-5000-8000-000000000000", text)
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    yield run


def kept(language: str, name: str, text: str) -> None:
    """Compare with the kept screen, or write it when told to; first what holds for every screen."""
    wide = [line for line in text.splitlines() if cell_len(line) > COLUMNS]
    assert not [line for line in wide if len(line.split()) > 1], f"wider than {COLUMNS} columns: {wide}"
    spoken = re.sub(
        r"\besep( [a-z][a-z-]*)+( [A-Z-]+)?|[\w./~-]+\.(toml|pdf|xlsx|sqlite|duckdb|p12)|https?://\S+|--?[a-z-]+|\w+\s+=\s+(\"[^\"]*\"|\[[^\]]*\])|\[[^\]]*\]",
        " ",
        text,
    )
    spoken = spoken.partition("(docs/rules.md):")[0]  # what follows is said to be English
    assert language == "en" or not ENGLISH & set(re.findall(r"\b[a-z]+\b", spoken)), (
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


def lines_below_a_dash(lines: Sequence[str]) -> list[str]:
    """The further lines of a list's entries."""
    return [line for line in lines if line.startswith("  ") and not line.startswith("  - ")]


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
    lists = screen(language, "verify", "2026-10", "--test-network").partition("  - ")[2].splitlines()
    assert not [line for line in lines_below_a_dash(lists) if not line.startswith("    ")], "what goes on stands below its text"
    kept(language, "freeze-again", screen(language, "freeze", "2026-10", "--by", "A. Person"))
    kept(language, "status-frozen", screen(language, "status"))
    kept(language, "close-dry-run", screen(language, "close", "--dry-run"))
    kept(language, "calendar", screen(language, "calendar"))
    kept(language, "explain", screen(language, "explain", "2026-10", "2"))
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


def test_the_screens_of_a_filed_month_whose_facts_change(at_hand: Path, screen: Callable[..., str]) -> None:
    """The outbox, the receipt, and what status says when the registry changes after it."""
    with at_hand.open("a", encoding="utf-8") as file:
        file.write('\n[closing]\nfirst_month = "2026-10"\nhold_hours = 0\nfile_day = 1\n')
    screen("en", "waive", "2026-10", "unknown-outflow", OUTFLOW, "--reason", "refund pending", "--by", "A. Person")
    screen("en", "freeze", "2026-10", "--by", "A. Person")
    kept("kk", "close-outbox", screen("kk", "close"))
    kept("ru", "close-again", screen("ru", "close"))
    for language in ("kk", "ru"):
        kept(language, "status-outbox", screen(language, "status"))
    answer = Path("answer.pdf")
    answer.write_bytes(b"%PDF-1.4")
    taken = ("receipt", "2026-10", "accepted", "--receipt", "R-17", "--reason", "телефон", "--by", "A. Person")
    kept("kk", "receipt", screen("kk", *taken))
    accounts = Path("registry")
    shutil.copytree(RECORDED, accounts, ignore=shutil.ignore_patterns("expected", "*.gz", "*.json*"))
    miners = (accounts / "miners.csv").read_text(encoding="utf-8")
    (accounts / "miners.csv").write_text(miners.replace("Ертіс", "Есіл"), encoding="utf-8")
    kept("kk", "import-registry", screen("kk", "import", "registry", "registry"))
    screen("en", "close")
    for language in ("kk", "ru"):
        kept(language, "status-changed", screen(language, "status"))
    kept("kk", "amend", screen("kk", "amend", "2026-10"))


ACCOUNTANTS = {
    "semicolons.csv": b"allocation_id;account;asset;allocated_at;amount\nB1;acct000;BTC;05.10.2026 12:00;0,50000000\n",
    "windows.csv": "allocation_id;account;asset;allocated_at;amount\nБ1;счёт Ертіс;BTC;05.10.2026 12:00;0,5\n".replace("і", "и").encode(
        "cp1251"
    ),
    "headings.csv": "Номер;Счёт;Актив;Дата;Сумма\nB1;acct000;BTC;05.10.2026 12:00;0,5\n".encode(),
    "title.csv": "Отчёт пула\n\nallocation_id;account;asset;allocated_at;amount\nB1;acct000;BTC;2026-10-05T12:00:00+05:00;0.5\n".encode(),
    "excel.csv": b"sep=;\nallocation_id;account;asset;allocated_at;amount\nB1;acct000;BTC;2026-10-05T12:00:00+05:00;0.5\n",
    "one-missing.csv": b"allocation_id;account;asset;amount\nB1;acct000;BTC;0.5\nB2;acct000;BTC;0.5\n",
}
"""Files as accountants' programs write them, each of which the settings as they come refuse."""
LEDGER = [["allocation_id", "account", "asset", "allocated_at", "amount"], ["B1", "acct000", "BTC", "2026-10-05T12:00:00+05:00", "0.5"]]
MINER = "201040334324"
REGISTRY = {
    "miners": [["miner_id", "name"], [MINER, "ЖШС «Ертіс»"], [MINER, "ЖШС «Есіл»"]],
    "licences": [
        ["miner_id", "licence_number", "issue_date", "valid_from", "valid_to"],
        [MINER, "KZ1", "2024-01-01", "2024-01-01", "2023-01-01"],
    ],
    "accounts": [
        ["account", "miner_id", "valid_from", "valid_to"],
        ["acct000", MINER, "01.01.2024", ""],
        ["acct\u200b1", "", "2024-01-01", ""],
    ],
    "wallets": [["address", "miner_id", "chain", "valid_from", "valid_to"], ["bc1qxyz", MINER, "bitcoin", "2024-01-01", ""]],
}
"""A registry in one workbook, with a fault in each sheet."""


def write_book(path: Path, sheets: Mapping[str, Sequence[Sequence[str]]]) -> None:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_screens_of_files_that_are_refused(language: str, at_hand: Path, screen: Callable[..., str]) -> None:
    for name, content in ACCOUNTANTS.items():
        Path(name).write_bytes(content)
    refused = [screen(language, "import", "allocations", name, code=4) for name in ACCOUNTANTS]
    kept(language, "import-refused", "\n".join(refused))
    assert refused[-1].count("- one-missing.csv") == 1, "one fault is told once"
    write_book(Path("two.xlsx"), {"Лист1": LEDGER, "Лист2": [["x"]]})
    write_book(Path("registry.xlsx"), REGISTRY)
    books = [screen(language, "import", "allocations", "two.xlsx", code=4), screen(language, "import", "registry", "registry.xlsx", code=4)]
    kept(language, "import-books-refused", "\n".join(books))
    kept(language, "import-dry-run", screen(language, "import", "allocations", "semicolons.csv", "--profile", "excel-kk", "--dry-run"))
    assert "two.xlsx" in screen(language, "import", "allocations", "two.xlsx", "--sheet", "Лист1", "--dry-run")


@pytest.fixture
def same_place(at_hand: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The month's folder at a path whose length is the same everywhere."""
    place = Path(tempfile.mkdtemp(prefix="esep", dir="/tmp")) / "var"
    shutil.copytree(at_hand.parent, place)
    monkeypatch.chdir(place)
    monkeypatch.setattr("pipeline.app.doctor.shutil.disk_usage", lambda _: SimpleNamespace(free=70 << 30, total=1 << 40, used=0))
    yield place
    shutil.rmtree(place.parent)


@pytest.mark.parametrize("language", ["en", "kk", "ru"])
def test_the_screen_of_the_doctor(language: str, same_place: Path, screen: Callable[..., str]) -> None:
    said = screen(language, "doctor", code=1)
    kept(language, "doctor", said.replace(same_place.parent.name, "esep" + "_" * (len(same_place.parent.name) - 4)))


NODES = [
    {
        "node": "http://127.0.0.1:8545", "is_followed": True, "is_in_trouble": False, "version": "Geth/v1.16.7", "height": 24_000_123,
        "ways": ["trace_block", "receipts of a block"], "answers_in_ms": 12, "trouble": None,
        "pending": [{"way": "trace_filter"}, {"way": "proofs of accounts"}, {"way": "state by a block's hash"}],
    },
    {
        "node": "http://10.0.0.2:8332", "is_followed": False, "is_in_trouble": False, "version": "/Satoshi:30.0.0/", "height": 24_000_120,
        "ways": ["rest", "rpc-raw"], "answers_in_ms": 3, "pending": [{"way": "txindex", "height": 412, "of_height": 24_000_120}, {"way": "rest"}],
    },
]  # fmt: skip


@pytest.mark.parametrize("language", ["en", "kk", "ru"])
def test_the_screen_of_the_nodes(language: str, at_hand: Path, screen: Callable[..., str]) -> None:
    Path("chains").mkdir(exist_ok=True)
    Path("chains/bitcoin.json").write_text(json.dumps({"at": AT - 5, "nodes": NODES}), encoding="utf-8")
    kept(language, "nodes", screen(language, "nodes"))
