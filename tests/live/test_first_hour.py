"""The first hour of a new pool, by the help alone: from `esep init` to its own frozen month on a terminal of 80 columns.

Nothing is canned: the chain is Litecoin Core's on regtest, the files are workbooks that LibreOffice writes here under Russian settings, the commands run in a
terminal of their own, and the sums are the test's. The transcript is kept as `transcript.txt` in the test's folder.
"""

from __future__ import annotations

import csv
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipeline.assess.issue_names import short_name
from pipeline.chains.bitcoin.networks import network
from pipeline.chains.bitcoin.script import address_of
from pipeline.model.miner_id import control_digit
from pipeline.model.months import ALMATY, Month

from ..terminal import ENGLISH, shown
from .regtest_node import Coin, RegtestNode, coinbase_of, find_program, lock, private_key, spend

LITECOIND = find_program("litecoind", "ESEP_LITECOIND")
SOFFICE = find_program("soffice", "ESEP_SOFFICE")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(LITECOIND is None, reason="no litecoind on PATH, and ESEP_LITECOIND does not name one"),
    pytest.mark.skipif(SOFFICE is None, reason="no LibreOffice on PATH, and ESEP_SOFFICE does not name one"),
]

ROOT = Path(__file__).resolve().parents[2]
REGTEST = network("litecoin_regtest")
COLUMNS, LINES = 80, 24
COIN = 10**8
POOL_BIN = "201040000013"
POOL, VENDOR, STRANGER = private_key("pool"), private_key("vendor"), private_key("stranger")
MINERS = [private_key(f"miner {n}") for n in range(3)]
ALLOCATED = [150_000_000, 75_512_345, 20_000_001]
"""Litoshi that each miner is credited."""
PAID = [(150_000_000, 75_512_345, 0), (0, 0, 12_345_678)]
"""Litoshi that each miner is paid, by transaction."""
VENDOR_PAID = 33_000_000
STRANGERS_PAID = 7_000_000
"""What a stranger pays the third miner, and the ledger takes for the pool's; it names a transaction that was never sent, too."""
NEVER_SENT = "ab" * 32
FEE = 10_000


def address(key: object) -> str:
    return str(address_of(lock("wpkh", key), REGTEST))


def miner_id(number: int) -> str:
    digits = f"2010400001{number}"
    return f"{digits}{control_digit(digits)}"


def almaty(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=ALMATY)


def ltc(units: int) -> str:
    return f"{units // COIN}.{units % COIN:08}"


# --- the chain ---------------------------------------------------------------------------------------------------


def play_month(node: RegtestNode, month: Month) -> list[str]:
    """The pool is funded before the month, pays its miners and a vendor in it, and blocks follow its end; the txids of the payouts."""

    def at(moment: int) -> None:
        node.rpc.call("setmocktime", moment)

    stranger = address(STRANGER)
    at(int(almaty(month.first).timestamp()) - 10 * 86_400)
    funds = coinbase_of(node, node.mine(stranger, 1)[0], "wpkh", STRANGER)
    node.mine(stranger, 110)
    at(int(almaty(month.first).timestamp()) - 5 * 86_400)
    raw, txid = spend([funds], [(lock("wpkh", POOL), 10 * COIN), (lock("wpkh", STRANGER), funds.value - 10 * COIN - FEE)])
    node.mine_with(stranger, [raw])
    held, txids = Coin(txid, 0, 10 * COIN, "wpkh", POOL), []
    change = Coin(txid, 1, funds.value - 10 * COIN - FEE, "wpkh", STRANGER)
    for number, paid in enumerate(PAID):
        at(int(almaty(month.first + timedelta(days=9 + 5 * number)).timestamp()))
        outputs = [(lock("wpkh", key), value) for key, value in zip(MINERS, paid, strict=True) if value]
        outputs += [(lock("wpkh", VENDOR), VENDOR_PAID)] if number else []
        left = held.value - sum(value for _, value in outputs) - FEE
        raw, txid = spend([held], [*outputs, (lock("wpkh", POOL), left)])
        node.mine_with(stranger, [raw])
        held = Coin(txid, len(outputs), left, "wpkh", POOL)
        txids.append(txid)
    raw, txid = spend([change], [(lock("wpkh", MINERS[2]), STRANGERS_PAID), (lock("wpkh", STRANGER), change.value - STRANGERS_PAID - FEE)])
    node.mine_with(stranger, [raw])
    txids.append(txid)
    at(month.end_at - 3600)
    node.mine(stranger, 1)
    at(month.end_at + 1)
    node.mine(stranger, 14)
    return txids


# --- the accountants' files --------------------------------------------------------------------------------------


def write_workbooks(folder: Path, tables: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """Workbooks that LibreOffice makes of semicolon files under Russian settings: decimal commas and dd.mm.yyyy become numbers and dates.

    The first two columns are taken as text, so that people's numbers and ids keep their zeros.
    """
    sources = [folder / f"{name}.csv" for name in tables]
    for source, rows in zip(sources, tables.values(), strict=True):
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=";").writerows(rows)
    made = subprocess.run(
        [
            str(SOFFICE), f"-env:UserInstallation=file://{folder}/.libreoffice", "--headless", "--convert-to", "xlsx",
            "--infilter=CSV:59,34,76,1,1/2/2/2,1049,false,true", "--outdir", str(folder), *map(str, sources),
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    for source in sources:
        assert source.with_suffix(".xlsx").is_file(), made.stdout + made.stderr
        source.unlink()
    shutil.rmtree(folder / ".libreoffice")


def write_books(folder: Path, month: Month, txids: list[str]) -> None:
    """The ledger with Russian headings; the registry with ours."""
    folder.mkdir()
    credited = almaty(month.first + timedelta(days=3)).strftime("%d.%m.%Y %H:%M")
    allocations = [["Номер", "Субаккаунт", "Актив", "Начислено", "Сумма"]]
    allocations += [[f"A{n}", f"rig{n}", "LTC", credited, ltc(units).replace(".", ",")] for n, units in enumerate(ALLOCATED)]
    payments = [["Платёж", "Транзакция", "Субаккаунт", "Актив", "Кошелёк", "Дата", "Сумма"]]
    for number, (txid, paid) in enumerate(zip(txids, PAID, strict=False)):
        at = almaty(month.first + timedelta(days=9 + 5 * number)).strftime("%d.%m.%Y %H:%M")
        payments += [
            [f"P{number}{n}", txid, f"rig{n}", "LTC", address(MINERS[n]), at, ltc(units).replace(".", ",")]
            for n, units in enumerate(paid)
            if units
        ]
    for number, txid in enumerate((txids[-1], NEVER_SENT)):
        payments.append([f"X{number}", txid, "rig2", "LTC", address(MINERS[2]), at, ltc(STRANGERS_PAID).replace(".", ",")])
    since = "01.01.2024"
    licence = ["miner_id", "licence_number", "issue_date", "valid_from", "valid_to"]
    wallet = ["address", "miner_id", "chain", "valid_from", "valid_to"]
    registry = {
        "miners": [["miner_id", "name"], *([miner_id(n), f"ТОО «Майнер {n}»"] for n in range(3))],
        "licences": [licence, *([miner_id(n), f"KZ0{n}RAA00000001", since, since, ""] for n in range(3))],
        "accounts": [["account", "miner_id", "valid_from", "valid_to"], *([f"rig{n}", miner_id(n), since, ""] for n in range(3))],
        "wallets": [wallet, *([address(key), miner_id(n), "litecoin", since, ""] for n, key in enumerate(MINERS))],
    }
    write_workbooks(folder, {"allocations": allocations, "payments": payments, **registry})
    (folder / "registry").mkdir()
    for name in registry:
        (folder / f"{name}.xlsx").rename(folder / "registry" / f"{name}.xlsx")


HEADINGS = {
    "ledger.columns.allocations": {"allocation_id": "Номер", "account": "Субаккаунт", "asset": "Актив", "allocated_at": "Начислено", "amount": "Сумма"},
    "ledger.columns.payments": {
        "payment_id": "Платёж", "account": "Субаккаунт", "asset": "Актив", "address": "Кошелёк", "txid": "Транзакция", "paid_at": "Дата", "amount": "Сумма",
    },
}  # fmt: skip
"""What a person writes into esep.toml, where its comments say so."""


# --- the terminal ------------------------------------------------------------------------------------------------


@dataclass
class Terminal:
    """A terminal of 80 columns that a person types at. Every screen is kept, and looked at for lines that do not fit."""

    folder: Path
    home: Path
    screens: list[str] = field(default_factory=list)

    def esep(self, *words: str, answers: Sequence[str] = (), code: int = 0, language: str = "en") -> str:
        """What the command printed, without the lines of progress that were wiped. `answers`: what is typed at each prompt, in order."""
        pid, fd = pty.fork()
        if pid == 0:  # pragma: no cover - the child
            os.chdir(self.folder)
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "TERM": "xterm",
                "ESEP_LANG": language,
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": str(ROOT),
            }
            os.execve(sys.executable, [sys.executable, "-c", "from pipeline.cli import main; main()", *words], environ)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        raw, left, asked_at, deadline = b"", list(answers), -1, time.monotonic() + 600
        while time.monotonic() < deadline:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    read = os.read(fd, 65_536)
                except OSError:
                    break
                if not read:
                    break
                raw += read
            elif raw.endswith(b"> ") and len(raw) != asked_at:
                assert left, f"nobody answers:\n{decoded(raw)}"
                asked_at = len(raw)
                os.write(fd, (left.pop(0) + "\n").encode())
        else:
            os.kill(pid, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        text = decoded(raw)
        self.screens.append(f"$ {'' if language == 'en' else f'ESEP_LANG={language} '}esep {' '.join(words)}\n{text}")
        (self.folder / "transcript.txt").write_text("\n".join(self.screens), encoding="utf-8")
        assert ended == code and not left, text
        for line in text.split("\n"):
            typed = any(answer and answer in line for answer in answers)
            assert typed or cell_len(line) <= COLUMNS or len(line.split()) == 1, f"wider than the terminal: {line!r}\n{text}"
        spoken = set(re.findall(r"\b[a-z]+\b", re.sub(COMMANDS, " ", text)))
        assert language == "en" or not ENGLISH & spoken, f"English in {language}: {sorted(ENGLISH & spoken)}\n{text}"
        return " ".join(text.split())


COMMANDS = r"\besep( [a-z][a-z-]*)+( [A-Z-]+)?|--?[a-z-]+|\S*[./]\S*|\[[^\]]*\]"


def decoded(raw: bytes) -> str:
    """What a terminal of this kind shows of these bytes."""
    return shown(raw.decode(errors="replace").replace("\r\n", "\n"))


WORDS = {
    "ru": ("хорошо", "распределено", "не погашено", "БЛОКИРУЕТ"),
    "kk": ("жақсы", "бөлінді", "өтелмегені", "БӨГЕЙТІН"),
}
"""Of doctor, status and issues."""


def in_other_languages(terminal: Terminal, month: Month) -> None:
    """What a person needs to act on before the month is frozen, in Russian and Kazakh: no line too wide, nothing English, amounts with a comma."""
    for language, (well, allocated, unsettled, blocking) in WORDS.items():
        assert well in terminal.esep("doctor", language=language)
        said = terminal.esep("status", language=language)
        assert f"{allocated} {ltc(sum(ALLOCATED)).replace('.', ',')}" in said and unsettled in said and "UTC+5" in said
        said = terminal.esep("issues", str(month), "--blocking", language=language)
        assert blocking in said and f"{ltc(VENDOR_PAID).replace('.', ',')} LTC" in said
        refused = terminal.esep("freeze", str(month), "--by", "A. Person", code=3, language=language)
        assert "unknown-outflow" in refused


@pytest.fixture(scope="module")
def month() -> Month:
    """The month before the current one in Almaty."""
    today = datetime.now(UTC).astimezone(ALMATY).date()
    return Month(today.year, today.month).previous


def test_from_nothing_to_a_frozen_month_of_ones_own(tmp_path: Path, month: Month) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    with RegtestNode(str(LITECOIND), "-txindex") as node:
        txids = play_month(node, month)
        write_books(tmp_path / "books", month, txids)
        terminal = Terminal(pool, tmp_path)
        descriptor = f"wpkh({POOL.get_public_key().sec().hex()})"

        answers = [
            "12",
            POOL_BIN,
            "ТОО «Пул»",
            node.rpc_url,
            str(node.cookie_path),
            "wpkh(nonsense)",
            descriptor,
            "",
            "0",
            "excel-ru",
            "none",
        ]
        said = terminal.esep("init", answers=answers)
        assert "'12': is not 12 digits" in said and f"litecoin_regtest at {node.rpc_url}" in said
        assert address(POOL) in said and "the node derives the same" in said and "esep.toml is written" in said
        config = (pool / "esep.toml").read_text(encoding="utf-8")
        for table, columns in HEADINGS.items():
            lines = "".join(f'{ours} = "{theirs}"\n' for ours, theirs in columns.items())
            config = config.replace(f"[{table}]\n", f"[{table}]\n{lines}", 1)
        (pool / "esep.toml").write_text(config, encoding="utf-8")

        said = terminal.esep("doctor")
        assert "node of litecoin: LitecoinCore" in said and "ILL" not in said
        assert "ledger never declared complete" in terminal.esep("status")
        terminal.esep("import", "registry", "../books/registry")
        assert "3 new" in terminal.esep("import", "allocations", "../books/allocations.xlsx")
        assert "5 new" in terminal.esep("import", "payments", "../books/payments.xlsx")
        terminal.esep("import", "complete", str(month.last))
        terminal.esep("watch", "--once")

        said = terminal.esep("status")
        paid = sum(map(sum, PAID))
        in_other_languages(terminal, month)
        assert f"LTC: allocated {ltc(sum(ALLOCATED))}, transferred {ltc(paid)}, unsettled {ltc(sum(ALLOCATED) - paid)}" in said
        assert f"esep issues {month} --blocking" in said
        said = terminal.esep("issues", str(month))
        assert f"{ltc(VENDOR_PAID)} LTC to {address(VENDOR)}" in said and "3 of them blocking and open" in said
        assert (
            "The transaction is on the chain, but no wallet of yours is in it: is a change descriptor missing in the settings, or did a payer"
            in said
        )
        assert "The node knows no such transaction in any block: it was never mined, or was replaced." in said
        for name in re.findall(r"esep waive [0-9-]+ ([a-z2-7]{4}) --by NAME", said):
            if name != short_name("unknown-outflow", f"{txids[1]}:1"):
                terminal.esep("waive", str(month), name, "--by", "A. Person", "--reason", "corrected in the next month's ledger")
        label = ("label", address(VENDOR), "vendor", "--name", "Power company", "--by", "A. Person", "--reason", "contract 17")
        terminal.esep(*label)
        assert f"esep freeze {month} --by NAME" in terminal.esep("status")

        said = terminal.esep("freeze", str(month), "--by", "A. Person")
        assert f"{month} v1 is frozen" in said and f"allocated {ltc(sum(ALLOCATED))} LTC" in said and f"transferred {ltc(paid)} LTC" in said
        assert f"unsettled {ltc(sum(ALLOCATED) - paid)} LTC" in said and f"var/months/{month}/v1/report.pdf" in said
        terminal.esep("verify", str(month), "--test-network")
        terminal.esep("close", "--dry-run")
        terminal.esep("calendar")
        terminal.esep("backup", "../kept")
        (kept,) = (tmp_path / "kept").iterdir()
        assert f"{month} v1: replayed" in terminal.esep("restore", f"../kept/{kept.name}", "../again")

    with (pool / "var" / "months" / str(month) / "v1" / "transfers.csv").open(encoding="utf-8") as file:
        transfers = [(row["txid"], row["address"], int(row["amount_sat"])) for row in csv.DictReader(file)]
    told = [
        (txid, address(MINERS[n]), units) for txid, paid_by in zip(txids, PAID, strict=False) for n, units in enumerate(paid_by) if units
    ]
    assert sorted(transfers) == sorted(told)
