"""What a forger may take out of a manifest, and what comes of it: a fault, exit code 13, or a line of what is on the signer's word. Never nothing (forgery 6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from pipeline.enrich.frames import WITNESSES
from pipeline.model.rules import Payer, Rules
from pipeline.render import Document
from pipeline.render.file_names import file_name
from pipeline.render.form import LANGUAGES
from pipeline.verify.manifest_shape import Manifest
from tests.reports import render_one

from .catalogue import _debts_of
from .forger import frame, own_copy, resealed, rewritten, told_by

pytestmark = pytest.mark.usefixtures("remembering")

Json = Any


@dataclass(frozen=True)
class Omission:
    """A part taken out, and what verify says then."""

    path: str
    """`*` for any key or place; what ends in `?` is set to null, where the type asks for the key."""
    code: int | None
    """8 a fault, 13 not decided here, None: a line among what is on the signer's word, or not checked."""
    says: str
    check: str = "manifest"
    base: str = "month"
    prepare: Callable[[Path], object] = lambda bundle: None
    """What puts the part into a bundle that does not have it."""
    besides: tuple[str, ...] = ()
    """What has to go, too, so that the rest agrees."""
    and_then: Callable[[Json], object] = lambda manifest: None
    """What has to change in the manifest, for the same reason."""
    honest_says: str | None = None
    """What is said while it is there, instead."""

    def __str__(self) -> str:
        return f"{self.path}{'_and_' + '_'.join(self.besides) if self.besides else ''}".replace(" ", "_")


def _with_rules(change: Callable[[Rules], Rules]) -> Callable[[Path], object]:
    return lambda bundle: rewritten(bundle, rules=change)


def _two_nodes(bundle: Path) -> None:
    told = {"chain": "bitcoin", "seq": 1, "height": 0, "last": 5113, "n_nodes": 2, "nodes": "one another", "reason": ""}
    rewritten(
        bundle,
        rules=lambda rules: dataclasses.replace(rules, witnesses={"bitcoin": 2}),
        facts=frame("witnesses", lambda _: pl.DataFrame([told], schema=WITNESSES)),
    )


def _no_condition_of_nodes(manifest: Json) -> None:
    manifest["conditions"] = [condition for condition in manifest["conditions"] if "was read from" not in condition["name"]]


def _payer(way: Any, chain: str | None = None) -> Callable[[Path], object]:
    return _with_rules(lambda rules: dataclasses.replace(rules, payers={"shop": Payer(way, chain)}))


def _of_september(bundle: Path) -> None:
    resealed(bundle, _debts_of)


def _with_documents(bundle: Path) -> None:
    named = {"about": "waiver", "ref": "x", "name": "a.pdf", "digest": "ab" * 32, "size": 1, "by": "A.", "reason": "a contract", "at": 1}
    resealed(bundle, lambda manifest: manifest.update(documents=[named]))


def _without_printed_rows(bundle: Path) -> None:
    """The form of 1,437 rows with a limit of 1,000 for its PDFs."""
    resealed(bundle, lambda manifest: manifest.update(pdf_rows=1_000))
    made = Document.load(bundle)
    for language in LANGUAGES:
        render_one(made, bundle / file_name("pdf", language), format="pdf", language=language)
    resealed(bundle)


OMISSIONS: tuple[Omission, ...] = (
    Omission("coins", 8, "and the manifest's coins: this one lacks them", "coins"),
    Omission("receipts", 8, "the manifest says otherwise", "receipts"),
    Omission("documents", None, "of which no document is named", prepare=_with_documents, honest_says="1 document(s), named by their digests"),
    Omission("keys", 8, "stands in a bundle that names no root key", "decisions", base="keys"),
    Omission("keys", None, "the log's events were not authenticated", "decisions", base="keys", besides=("files.evidence/decisions.jsonl",), honest_says="the root key as the manifest says"),
    Omission("by_payer", 8, "by_payer comes out different"),
    Omission("rests_on", None, "what each payer's sums rest on"),
    Omission("witnesses", 8, "witnesses comes out different", prepare=_two_nodes),
    Omission("rules.witnesses", 8, "the manifest's section witnesses does not go with the rules in force", prepare=_two_nodes),
    Omission("rules.witnesses", None, "that one node told all of bitcoin", prepare=_two_nodes, besides=("witnesses",), and_then=_no_condition_of_nodes),
    Omission("rules.edition", 8, "can't be of edition 1 of the rules", "refused"),
    Omission("rules.payers", 8, "by_payer comes out different", prepare=_payer("off-chain")),
    Omission("rules.payers.*.chain", 8, "the rules name no chain of it", prepare=_payer("on-chain", "bitcoin")),
    Omission("rules.assets.*.contract", 8, "it can have one", base="accounts"),
    Omission("waivers.*.facts", None, "they do not say it, so none of them lapses"),
    Omission("waivers.*.facts?", None, "they do not say it, so none of them lapses"),
    Omission("previous_digest?", 8, "previous_digest says that no month was reported before", "debts", prepare=_of_september),
    Omission("previous_digest?", None, "that 2026-09 was not reported before this month", prepare=_of_september, besides=("debts.previous?",), honest_says="that 2026-09 was reported with the digest"),
    Omission("debts.previous?", None, "that 2026-09 was not frozen with debts", "debts", prepare=_of_september, honest_says="its bundle does not lie beside this one"),
    Omission("debts.restated?", 8, "the manifest's debts come out different", "debts", prepare=lambda bundle: resealed(bundle, lambda manifest: _debts_of(manifest, closing={"BTC": "9.00000000"}, closing_digest="cd" * 32))),
    Omission("debts.opening_line_digest", 8, "and the digests of both lines, or none of them", "debts"),
    Omission("debts.closing_line_digest", 8, "and the digests of both lines, or none of them", "debts"),
    Omission("debts.opening_line_digest", None, "the bundle has no evidence/opening_line.csv", "debts", besides=("debts.closing_line_digest", "debts.line_format", "files.evidence/opening_line.csv")),
    Omission("debts.line_format", 8, "comes out different from the facts", "debts"),
    Omission("debts.line_format", 8, "and it has no evidence/opening_line.csv of format 2", "debts", base="line"),
    Omission("debts.previous.line_format", None, "its digest is of another format", "debts", prepare=_of_september, honest_says="the opening line is the closing line of 2026-09 v1, one by one: its bundle does not lie beside"),
    Omission("starts_at", 8, "rows comes out different", base="line"),
    Omission("debts.previous.closing_line_digest", None, "that 2026-09 v1 closed with the same line", "debts", prepare=_of_september, besides=("debts.previous.line_format",), honest_says="the opening line is the closing line of 2026-09 v1, one by one: its bundle does not lie beside"),
    Omission("coins.previous?", None, "which coins 2026-09 closed with", "coins"),
    Omission("coins.chains.*.opening_height?", 8, "the manifest's coins come out different", "coins"),
    Omission("keys.streams.*.keys.*.until?", 8, "are not those that the root key granted and revoked", "decisions", base="keys"),
    # Not optional by their types, since their keys are names: what goes with one of them.
    Omission("header.*", 8, "the form's header lacks"),
    Omission("software.*", 8, "names no version of", "documents"),
    Omission("positions.*", 8, "names no position in the log"),
    Omission("rules.finality.*", 8, "the rules say no finality or no network", "work"),
    Omission("rules.payout_unit.*", 8, "rows comes out different"),
    Omission("rules.network.*", 8, "the rules name no network", "refused"),
    Omission("rules.network_facts", None, "what was known of the networks regtest at the freeze"),
    Omission("rules.assets.*", 8, "", "recomputed from facts"),
    Omission("chains.*", 8, "chains comes out different"),
    Omission("chains.*.internal_calls", None, "how calls inside transactions were seen is not said", base="accounts", honest_says="calls inside transactions were seen by"),
    Omission("chains.*.authorizations_from", None, "from which block they were told is not said", base="accounts"),
    Omission("chains.*.tip_height", 8, "chains comes out different"),
    Omission("totals.*", 8, "totals comes out different"),
    Omission("issues.*", 8, "issues comes out different"),
    Omission("conditions.*", 8, "conditions come out different"),
    Omission("waivers.*", 8, "no blocking issue left"),
    Omission("layout", 8, "rendered anew it comes out different", "documents"),
    Omission("pdf_rows", 8, "rendered anew it comes out different", "documents", prepare=_without_printed_rows),
    Omission("languages.*", 8, "the manifest names the languages", "documents"),
    Omission("not_reproducible.*", 8, "not_reproducible comes out different"),
    Omission("files.report.json", 8, "report.json is missing", "files"),
    Omission("files.evidence/opening_line.csv", 8, "and the digests of both lines, or none of them", "debts"),
    Omission("files.coins.csv", 8, "this one lacks them", "coins"),
    Omission("files.evidence/wallets.jsonl", 8, "this one lacks it", "wallets"),
    Omission("files.evidence/decisions.jsonl", 8, "is missing", "decisions", base="keys"),
    Omission("files.evidence/account_proofs.jsonl", 8, "account", "account balances", base="accounts"),
    Omission("files.evidence/facts/proved_balances.parquet", 8, "the facts leave it out", "account balances", base="accounts"),
    Omission("files.evidence/facts/observations.parquet", 8, "balances.csv comes out different", "recomputed from facts", base="accounts"),
)  # fmt: skip


def _optional(kind: Any, path: str = "") -> Iterator[str]:
    """What the manifest's types do not ask for; what they ask for and let be null ends in `?`."""
    for field in kind.fields:
        inner = field.type
        here = f"{path}{field.encode_name}"
        kinds = inner.types if isinstance(inner, msgspec.inspect.UnionType) else (inner,)
        if not field.required:
            yield here
        if any(isinstance(one, msgspec.inspect.NoneType) for one in kinds) and (field.required or "waivers" in path):
            yield f"{here}?"
        for one in kinds:
            below = here
            while isinstance(one, msgspec.inspect.DictType | msgspec.inspect.ListType):
                one, below = (one.value_type if isinstance(one, msgspec.inspect.DictType) else one.item_type), f"{below}.*"
            if isinstance(one, msgspec.inspect.StructType):
                yield from _optional(msgspec.inspect.type_info(one.cls), f"{below}.")


def test_every_optional_part_is_shown_here() -> None:
    assert set(_optional(msgspec.inspect.type_info(Manifest))) - {omission.path for omission in OMISSIONS} == set()


@pytest.mark.parametrize("omission", OMISSIONS, ids=str)
def test_what_is_taken_out_is_a_fault_or_named(honest_of: dict[str, Path], tmp_path: Path, omission: Omission) -> None:
    bundle = own_copy(honest_of[omission.base], tmp_path)
    omission.prepare(bundle)
    if omission.code != 8:
        before = told_by(bundle, omission.check)
        assert before.exit_code != 8 or omission.besides, before.faults
        assert omission.says not in before.lists or omission.check == "coins" or "previous" in omission.path
        assert omission.honest_says is None or omission.honest_says in before.lists, before.lists
    for path in (omission.path, *omission.besides):
        taken_out(bundle, path)
    if omission.code != 8:
        resealed(bundle, omission.and_then)
    after = told_by(bundle, omission.check)
    if omission.code == 8:
        assert omission.check in after.failing and omission.says in after.faults, after.faults
        assert after.exit_code == 8
    else:
        assert omission.says in after.lists, after.lists
        assert omission.check not in after.failing and after.exit_code in ((13,) if omission.code else (0, 13))


@pytest.mark.parametrize("edition", [1, 2])
def test_a_bundle_that_says_it_is_of_an_older_edition_never_exits_0(bundle: Path, edition: int) -> None:
    """All that the newer editions carry is left out with it, and the rest agrees: what is not asked then is named."""
    rewritten(bundle, rules=lambda rules: dataclasses.replace(rules, edition=edition))
    told = told_by(bundle)
    assert not told.failing, told.faults
    assert "None of this can be proved of it" in told.lists and told.exit_code == 13
    assert ("a payout that was left out would not show" in told.lists) == (edition == 1)


def taken_out(bundle: Path, path: str) -> None:
    """What the path names, everywhere; a file goes from the disk, too."""
    if path.startswith("files."):
        (bundle / path.removeprefix("files.")).unlink()
        resealed(bundle)
        return
    found: list[bool] = []

    def change(manifest: Json) -> None:
        found.append(_without(manifest, path.removesuffix("?").split("."), is_null=path.endswith("?")))

    resealed(bundle, change)
    assert any(found), f"{path} is not in the bundle"


def _without(inner: Json, steps: list[str], *, is_null: bool) -> bool:
    """Whether something was taken out."""
    step, rest = steps[0], steps[1:]
    keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
    keys = keys if step == "*" else [key for key in keys if key == step]
    if rest:
        return sum(_without(inner[key], rest, is_null=is_null) for key in keys if inner[key] is not None) > 0
    for key in reversed(keys):
        if is_null:
            inner[key] = None
        else:
            del inner[key]
    return bool(keys)
