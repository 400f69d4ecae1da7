"""`esep demo`, `docs`: see it work, print the generated documents."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipeline.demo import demo as demo_steps
from pipeline.model.errors import MonthError, VerifyError
from pipeline.model.message import message
from pipeline.render.json_report import report_schema
from pipeline.service.metrics import metrics_page
from pipeline.settings.reference import reference_page
from pipeline.verify.finding import judge

from .frame import JsonOption, now, print_json, progress, say, shown, use_settings
from .issues import print_issues
from .months import print_step, report_checks
from .reference import pages
from .summary import print_summary

LISTED = 50
"""Blocking issues that the demo prints one by one."""


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A recorded month: pool.json, chain.jsonl.gz, ledger and registry files. The example without it.", metavar="[DIR]"
        ),
    ] = None,
    var: Annotated[Path, typer.Option("--var", help="The folder that everything is written to.", metavar="DIR")] = Path("var"),
    waive_all: Annotated[
        str | None, typer.Option("--waive-all", help="Waive every blocking issue by name, with this reason.", metavar="REASON")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Carry a recorded month the whole way: its node is served back and followed, files imported, the month frozen and verified.

    Writes the settings, esep.toml, into the folder of --var, so that every other command works on the result: --config var/esep.toml. Blocking issues
    that nobody waived are listed and end it with exit code 3: waive or label, and run it again. Run again after the freeze,
    it verifies what is there. A recording may bring an esep.toml of its own (finality, payout_unit, labels, waivers).

    [dim]esep demo --var var[/dim]
    """
    folder = folder or demo_steps.example_folder()
    app, run, pool = demo_steps.open_demo(folder, var, os.environ, now)
    tell_people = (lambda _line: None) if as_json else say
    with app:
        use_settings(app.settings)
        with progress(message("following the recorded node")) as on_progress:
            demo_steps.import_recording(app, folder, pool, say=tell_people, on_progress=on_progress)
        with app.stores.live() as store:
            with progress(message("filling the store")) as on_progress:
                run.events = app.stores.fill(store, on_progress=on_progress)
            if waive_all is not None:
                count = demo_steps.waive_all(app, store, run, waive_all)
                tell_people(message("waived   {count} blocking issue(s), each by name: {reason}", count=count, reason=waive_all))
            demo_steps.assess(app, store, run)
            if not as_json:
                _print_issues(run)
            if not run.unmet:
                with progress(message("freezing")):
                    demo_steps.finish(app, store, run, print_step)
            else:
                app.stores.publish(store)
    return _report(run, app.settings.store.published, as_json=as_json)


def _print_issues(run: demo_steps.DemoRun) -> None:
    """Blocking issues one by one, warnings by code: `esep issues` lists them all."""
    warnings = Counter(row["code"] for row in run.issues if row["severity"] != "blocking")
    say()
    print_issues(run.month, run.blocking, run.settings_path, limit=LISTED)
    if warnings:
        say(message("warnings: {names}", names=", ".join((f"{count} {code}" for code, count in sorted(warnings.items())))))
    say()


def _report(run: demo_steps.DemoRun, published: Path, *, as_json: bool) -> int:
    outcome, month = run.outcome, run.month
    if as_json:
        print_json(
            {
                "month": str(month), "settings": run.settings_path, "issues": run.issues,
                "left_over": [condition.for_manifest() for condition in run.unmet], "totals": run.totals,
                "bundle": outcome and asdict(outcome), "checks": [asdict(check) for check in run.checks],
            }
        )  # fmt: skip
    if outcome is None:
        if not as_json:
            for condition in run.unmet:
                say(message("[ ] {name}: {detail}", name=condition.name, detail=condition.detail))
        raise MonthError(
            message(
                "{month} can't close yet: {count} condition(s) open. Resolve, label or waive the blocking issues listed (esep waive {month} CODE REF --by NAME --reason TEXT --config {settings_path}), then run the demo again",
                month=month,
                count=len(run.unmet),
                settings_path=run.settings_path,
            )
        )
    if as_json:
        return judge(run.checks, is_test_network=True).exit_code
    say(message("The recorded chain is a test network: it is verified as with esep verify --test-network"))
    code = report_checks(run.checks, outcome.folder, is_test_network=True, as_json=False)
    say()
    if not outcome.is_new:
        say(message("frozen before, nothing changed"))
    assert run.summary is not None
    by_hand = message("by hand, as here: automatically only where [closing] first_month is set, and from that month on")
    query = message("{published} (esep query --config {settings_path})", published=shown(published), settings_path=shown(run.settings_path))
    more = [(message("closing"), by_hand), (message("settings"), shown(run.settings_path)), (message("for analysts"), query)]
    print_summary(run.summary, run.settings_path, more)
    return code


def docs(
    out: Annotated[Path, typer.Option("--out", help="The folder of documents.", metavar="DIR")] = Path("docs"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 8 when a document is older than the program.")] = False,
) -> int:
    """Print the generated documents: data dictionary, settings, metrics, JSON Schemas of events and of report.json.

    [dim]esep docs --check[/dim]
    """
    stale = []
    for name, content in generated_documents().items():
        path = out / name
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != content:
                stale.append(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            say(str(path))
    for path in stale:
        say(message("{path} is older than the program: esep docs", path=path))
    return VerifyError.exit_code if stale else 0


def generated_documents() -> dict[str, str]:
    """The generated documents' content, by name below `docs/`."""
    from pipeline.service.push import openapi  # FastAPI takes half a second to import
    from pipeline.web.console import document as console_document

    return pages() | {
        "push.openapi.json": json.dumps(openapi(), ensure_ascii=False, indent=1) + "\n",
        "console.openapi.json": json.dumps(console_document(), ensure_ascii=False, indent=1) + "\n",
        "settings.md": reference_page(),
        "metrics.md": metrics_page(),
        "report.schema.json": json.dumps(report_schema(), ensure_ascii=False, indent=1) + "\n",
    }
