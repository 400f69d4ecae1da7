"""How long the console's pages take at a million rows, asked over HTTP: `python -m tests.bench.console`.

Enters: how many allocations, or a folder with a log (of an open month, or of a frozen one). Leaves: of each page the time of its first request, the median and the 95th percentile of
the rest, and processor time a request, as a table. The console runs in a process of its own, as `esep console` does, and is asked by one reader over one connection that stays open;
so a time is the server's own and the loopback's. A filter or sort is asked once each, with another text each time: nothing of it is remembered from before.
On a busy machine processor time says more than the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import structlog

from connectors.log_sqlite.log import SqliteLog

from .row import Row
from .synthetic import MONTH, Size, write_month

ALLOCATIONS = 1_000_000
REPEAT = 20
PAGE_S = 0.150
"""What a page may take, 95 of 100."""
SEARCH_S = 0.300
"""What a filter or sort of the form may take that was not asked before."""
AT = f"/months/{MONTH}"
PAGES = {
    "months": "/",
    "figures": AT,
    "form": f"{AT}/form",
    "form, page 15,000": f"{AT}/form?page=15000",
    "form, filtered, page 100": f"{AT}/form?state=settled&page=100",
    "form, sorted, page 15,000": f"{AT}/form?sort=amount&page=15000",
    "story of a row": f"{AT}/rows/{{n}}",
    "miners": f"{AT}/miners",
    "miner": f"{AT}/miners/{{miner}}",
    "issues": f"{AT}/issues",
    "outflows": f"{AT}/outflows/payout",
    "close": f"{AT}/close",
    "bring in": "/bring-in",
    "machine room": "/machine",
    "who did what": "/deeds",
    "api: months": "/api/v1/months",
}
SEARCHES = ("77", "a0004", "kz000", "bcrt1q0", "Синтетика 4", "синтетика 123", "zzz", "f00", "acc", "0000", "e1", "p9")
SORTS = ("miner_name", "miner_id", "licence_number", "wallet", "allocation_date", "asset", "amount", "transfer_amount", "transfer_date")


@dataclass(frozen=True)
class Taken:
    """One page, or filters and sorts of a kind."""

    name: str
    first_s: float
    times_s: list[float]
    cpu_s: float
    """Of the server's process, a request."""
    most_s: float

    @property
    def p95_s(self) -> float:
        return sorted(self.times_s)[max(-(-95 * len(self.times_s) // 100) - 1, 0)]


class Reader:
    """A browser's connection, signed in."""

    def __init__(self, address: str, link: str, server: int) -> None:
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=600)
        self._connection.request("POST", "/enter", f"link={link}", {"content-type": "application/x-www-form-urlencoded"})
        answer = self._connection.getresponse()
        answer.read()
        self._cookie = answer.headers["set-cookie"].split(";")[0]
        self._server = server

    def get(self, path: str) -> tuple[float, str]:
        """Seconds until the whole answer was there, and the answer. Raises AssertionError for any but a page."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers={"cookie": self._cookie, "accept-language": "kk"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        took = time.perf_counter() - begun
        assert answer.status == 200, f"{path}: {answer.status} {text[:200]}"
        return took, text

    def measure(self, name: str, paths: Sequence[str], most_s: float) -> Taken:
        """Ask for each of the paths, one after another."""
        begun = _cpu_s(self._server)
        times = [self.get(path)[0] for path in paths]
        return Taken(name, times[0], times, (_cpu_s(self._server) - begun) / len(paths), most_s)


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, all its threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def console_of(folder: Path) -> Iterator[tuple[Reader, float]]:
    """A console over the folder's log, and seconds of processor time until its first snapshot was there."""
    command = [sys.executable, "-m", "tests.bench.console", "--serve", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        assert server.stdout is not None and server.stdin is not None
        told = next((line for line in server.stdout if line.startswith("http")), "")
        try:
            assert told, "the console did not start"
            address, link = told.split()
            yield Reader(address, link, server.pid), _cpu_s(server.pid)
        finally:
            server.stdin.close()


def serve(folder: Path) -> None:
    """Serve until standard input ends; the address and a link are printed once the first snapshot is there and what can be worked out before is."""
    from pipeline.app.app import App
    from pipeline.web.serve import serve_console

    from .freezing import settings

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with (
        App(settings(folder), lambda: MONTH.end_at + 3 * 86_400) as app,
        serve_console(app, "localhost:0") as (address, parts),
    ):
        parts.reading.snapshot(timeout_s=1_800)
        print(address, parts.make_link("A. Person"), flush=True)
        sys.stdin.read()


def measure(folder: Path) -> list[Taken]:
    """Every page, and filters and sorts of the form."""
    with console_of(folder) as (reader, begun_cpu_s):
        print(f"the console's first snapshot took {begun_cpu_s:.1f} s of processor time", file=sys.stderr)
        while reader.get("/tasks")[1].find("progress") >= 0:
            time.sleep(1)
        found = re.search(rf"{AT}/miners/([0-9]{{12}})", reader.get(f"{AT}/miners")[1])
        assert found is not None
        values = {"miner": found[1]}
        taken = []
        for name, path in PAGES.items():
            paths = [path.format(n=n * 40_009 + 1, **values) for n in range(REPEAT)]
            taken.append(reader.measure(name, paths, PAGE_S))
        searches = [f"{AT}/form?search={quote(one)}" for one in SEARCHES]
        taken.append(reader.measure("form: filters, each the first time", searches, SEARCH_S))
        sorts = [f"{AT}/form?sort={name}{down}&page=9000" for name in SORTS for down in ("", "&down=true")]
        taken.append(reader.measure("form: sorts, each the first time, page 9,000", sorts, SEARCH_S))
        both = [f"{AT}/form?state=settled&sort={name}&page=9000" for name in SORTS]
        taken.append(reader.measure("form: sorts of a filter, page 9,000", both, SEARCH_S))
    return taken


def rows(allocations: int = ALLOCATIONS) -> list[Row]:
    """The table of `make bench`: the 95th percentile beside what was promised."""
    with tempfile.TemporaryDirectory(prefix="esep-bench-") as name:
        folder = Path(name)
        with SqliteLog(folder / "log.sqlite") as log:
            write_month(log, Size(allocations))
        return [Row("console", f"{one.name}: p95", 1, "page", one.p95_s, "at most", one.most_s, one.cpu_s) for one in measure(folder)]


def table(taken: list[Taken]) -> str:
    """The measurements as Markdown, in milliseconds."""
    lines = ["| page | first ms | median ms | p95 ms | CPU ms | at most ms |", "|---|--:|--:|--:|--:|--:|"]
    for one in taken:
        median = statistics.median(one.times_s)
        cells = (one.first_s, median, one.p95_s, one.cpu_s, one.most_s)
        lines.append(f"| {one.name} | {' | '.join(f'{1_000 * cell:.0f}' for cell in cells)} |")
    return "\n".join([*lines, "", f"load average {os.getloadavg()[0]:.1f}", ""])


def main(arguments: list[str] | None = None) -> None:
    """The command line; `--serve` is how it starts the console."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description="Time the console's pages at a million rows.")
    parser.add_argument("--allocations", type=int, default=ALLOCATIONS)
    parser.add_argument(
        "--directory", type=Path, help="a folder with log.sqlite, kept; a frozen month's, too (default: a synthetic open month)"
    )
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        serve(chosen.serve)
        return
    with contextlib.ExitStack() as held:
        folder = chosen.directory or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="esep-bench-")))
        if not (folder / "log.sqlite").exists():
            with SqliteLog(folder / "log.sqlite") as log:
                write_month(log, Size(chosen.allocations))
        print(table(measure(folder)))


if __name__ == "__main__":
    main()
