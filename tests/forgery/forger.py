"""What a forger does: change facts, proofs, headers or the manifest, and make all the rest agree with them again.

`rewritten` is the honest writer on forged content: report, tables, debts, documents, totals, digests and file list are all consistent. It has all that the
pool has but its key and the chain's work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cryptography import x509

from pipeline.assess.coins import PreviousCoins, closing_coins
from pipeline.assess.debts import PreviousDebts, closing_debts
from pipeline.assess.month import MonthState, assess_month
from pipeline.assess.opening_line import OPENING_LINE_CSV, line_of
from pipeline.chains.bitcoin.coins import CoinNode
from pipeline.chains.evidence import Evidence
from pipeline.enrich.frames import Facts
from pipeline.enrich.line import Line
from pipeline.enrich.month import enrich_month
from pipeline.enrich.opening import Beginning
from pipeline.freeze.bundle import Content, Version, write_bundle, write_report
from pipeline.log.events.months import Waived
from pipeline.model.errors import VerifyError
from pipeline.model.months import Month
from pipeline.model.rules import Rules
from pipeline.render import render_all
from pipeline.render.csv_parts import read_text
from pipeline.verify.bundle import CHECKS, verify_bundle
from pipeline.verify.evidence import read_evidence
from pipeline.verify.files import digest_of, read_facts
from pipeline.verify.finding import Check, judge
from pipeline.verify.receipts import describe_folder

from .packed import packed_verifier

Change = Callable[[Any], Any]
DATABASE = "month.duckdb"
"""What no check opens."""
_databases: dict[tuple[int, int, int], str] = {}
"""Digests of databases by what the file system says of them: inode, time, size."""


def same(value: Any) -> Any:
    return value


def _copied(source: str, target: str) -> None:
    """The file copied; `DATABASE`, twice as large as all the others of a bundle, linked."""
    (os.link if source.endswith(DATABASE) else shutil.copy2)(source, target)


def own_copy(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle that may be changed, below `folder`, alone among its months. Only `DATABASE` is to be unlinked before another is written there."""
    copy = folder / "months" / "2026-10" / "v1"
    shutil.copytree(bundle, copy, copy_function=_copied)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return copy


def manifest_of(bundle: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return manifest


def _digest_of(path: Path) -> str:
    """Of a database it is worked out once, since what lies under a link is never written anew."""
    if path.name != DATABASE:
        return digest_of(path)
    told = path.stat()
    key = told.st_ino, told.st_mtime_ns, told.st_size
    if key not in _databases:
        _databases[key] = digest_of(path)
    return _databases[key]


def resealed(bundle: Path, change: Change = same) -> Path:
    """Digests and the file list made to agree with the files; then `change` of the manifest."""
    manifest = manifest_of(bundle)
    names = [str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file() and not path.is_symlink()]
    manifest["files"] = {name: _digest_of(bundle / name) for name in sorted(names) if name != "manifest.json" and name[-4:] != ".p7s"}
    manifest["digest"] = manifest["files"]["report.csv"]
    with contextlib.suppress(ValueError, pl.exceptions.PolarsError):  # of what is no report any more there is no root to state
        manifest["receipts"] = describe_folder(bundle, month=manifest["month"], version=manifest["version"])
    manifest = change(manifest) or manifest
    (bundle / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False))
    return bundle


@contextlib.contextmanager
def without_forms() -> Iterator[None]:
    """A bundle that is written meanwhile has no PDF and no workbook, half of the time to write it: only the check `documents` opens them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pipeline.freeze.bundle.render_all", functools.partial(render_all, formats=("json",)))
        yield


def rewritten(
    bundle: Path,
    *,
    facts: Callable[[Facts], Facts] = same,
    evidence: Callable[[Evidence], Evidence] = same,
    rules: Callable[[Rules], Rules] = same,
    waivers: Callable[[list[Waived]], list[Waived]] = same,
    manifest: Change = same,
    line: Callable[[Line], Line] = same,
    starts_at: Callable[[int], int] = same,
    month: Month | None = None,
    before: Path | None = None,
) -> Path:
    """The bundle written anew from forged content by the honest writer, in place; `manifest` changes what it wrote there.

    `line`, `starts_at`: forge what stands for the allocations before the month. `month`: of another month of the same facts. `before`: the bundle of the month before that it follows.
    """
    old = manifest_of(bundle)
    month, forged_rules = month or Month.parse(old["month"]), rules(Rules.from_json(old["rules"]))
    given = [Waived(id=f"w{n}", month=old["month"], **waiver) for n, waiver in enumerate(old["waivers"])]
    followed = manifest_of(before) if before is not None else None
    forged, opening = facts(read_facts(bundle / "evidence" / "facts")), None
    if "starts_at" in old:
        opening = Beginning(month, starts_at(old["starts_at"]), line(line_of(read_text(bundle / OPENING_LINE_CSV))))
    state = MonthState(
        facts=forged, opening=opening, waivers=waivers(given), complete_through=month.last, has_registry=True, bad_events=[],
        positions=old["positions"], **_before(followed, old), **_as_read(old),
    )  # fmt: skip
    assessed = assess_month(state, month, forged_rules, enrich_month)
    proofs = evidence(read_evidence(bundle / "evidence"))
    version = Version(
        month, old["version"], forged_rules, old["header"], ["kk"], old["frozen_at"], old["frozen_by"], old["reason"], begins_from_line=opening is not None
    )  # fmt: skip
    target = bundle.with_name("forged")
    report = write_report(assessed.enriched, forged_rules, target)
    write_bundle(Content(version, state, assessed, proofs), report, export=lambda path: os.link(bundle / DATABASE, path))
    shutil.rmtree(bundle)
    target.rename(bundle)
    for path in bundle.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return resealed(bundle, manifest)


def _as_read(old: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How each chain was read, as the manifest says: a forger goes on saying it."""
    return {
        name: {chain: told[name] for chain, told in old["chains"].items() if name in told}
        for name in ("internal_calls", "authorizations_from")
    }


def _before(followed: dict[str, Any] | None, old: dict[str, Any]) -> dict[str, Any]:
    """What the month before closed with: by the manifest of its bundle, or as the bundle said before it was forged."""
    if followed is None:
        debts, coins = old["debts"]["previous"], (old.get("coins") or {"previous": None})["previous"]
        return {
            "previous_digest": old["previous_digest"],
            "previous_debts": PreviousDebts(**debts) if debts else None,
            "previous_coins": PreviousCoins(**coins) if coins else None,
        }
    which = followed["month"], followed["version"]
    return {
        "previous_digest": followed["digest"],
        "previous_debts": PreviousDebts(
            *which,
            closing_debts(followed["debts"]),
            *(followed["debts"].get(name) for name in ("closing_digest", "closing_line_digest")),
            followed["debts"].get("line_format", 1),
        ),
        "previous_coins": PreviousCoins(*which, closing_coins(followed["coins"])),
    }


def frame(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Facts], Facts]:
    """One frame of the facts changed."""
    return lambda facts: dataclasses.replace(facts, **{name: change(getattr(facts, name))})


def verified(
    bundle: Path,
    *,
    trusted: Sequence[x509.Certificate] = (),
    left_out: Collection[str] = (),
    root_key: str | None = None,
    node: CoinNode | None = None,
) -> list[Check]:
    """`verify_bundle`: of the packed verifier where `ESEP_VERIFIER` names one, which knows nothing of this process; else of this tree. Raises VerifyError.

    The packed verifier asks no node: with one, this tree is asked.
    """
    packed = os.environ.get("ESEP_VERIFIER")
    if packed is None or node is not None:
        return verify_bundle(bundle, trusted=trusted, left_out=left_out, root_key=root_key, node=node)
    told = packed_verifier(packed).ask(bundle, trusted=trusted, left_out=left_out, root_key=root_key)
    if "refused" in told:
        raise VerifyError(told["refused"])
    checks = [Check(**check | {"on_word": tuple(check["on_word"])}) for check in told["checks"]]
    assert asdict(judge(checks, is_test_network=True)) == told["verdict"]
    return checks


def verdict_on(bundle: Path, **wanted: Any) -> tuple[set[str], str, int]:
    """The checks that fail, what they say, and the exit code with `--test-network`."""
    checks = verified(bundle, **wanted)
    verdict = judge(checks, is_test_network=True)
    return {check.name for check in checks if not check.holds}, "\n".join(verdict.faults), verdict.exit_code


def check_of(bundle: Path, name: str) -> Check:
    """What one check says, alone."""
    (check,) = verified(bundle, left_out={other for other, _ in CHECKS} - {name})
    return check


@dataclasses.dataclass(frozen=True)
class Told:
    """What verify says of a bundle with `--test-network`."""

    failing: set[str]
    faults: str
    lists: str
    """What is on the signer's word, and what is not checked."""
    exit_code: int


def told_by(bundle: Path, check: str | None = None) -> Told:
    """The same with the lists, from one check alone or from all; "refused" fails where the bundle is refused whole."""
    try:
        checks = verified(bundle, left_out={name for name, _ in CHECKS} - {check} if check is not None else ())
    except VerifyError as error:
        return Told({"refused"}, str(error), "", error.exit_code)
    verdict = judge(checks, is_test_network=True)
    lists = "\n".join([*verdict.on_signers_word, *verdict.not_checked])
    return Told({check.name for check in checks if not check.holds}, "\n".join(verdict.faults), lists, verdict.exit_code)


def came_to(bundle: Path, check: str, trusted: Sequence[x509.Certificate] = (), root_key: str | None = None) -> tuple[set[str], str, int]:
    """The checks that fail, of one check alone, which is quick; "refused" where the bundle is refused whole."""
    try:
        return verdict_on(bundle, trusted=trusted, root_key=root_key, left_out={name for name, _ in CHECKS} - {check})
    except VerifyError as error:
        return {"refused"}, str(error), error.exit_code
