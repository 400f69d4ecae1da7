"""`python -m tests.mutation.of_verify`: take each check of `esep verify` away, one at a time, and see that a forgery passes that was caught.

The checks are found in the sources: every fault that is said, every value that is refused (`sites`). The forgeries are those of `tests/forgery/catalogue.py` and
`catalogue_bases.py`, each made once from its honest bundle. `--of MODULE` makes only the forgeries of the checks of some modules, so that a run can be had in pieces. A check is caught by the forgery that only it named. Exit code 1 when a check can be taken away unnoticed, and is not among `UNREACHED`, with the reason.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.model.errors import EsepError
from tests.forgery.bases import BASES
from tests.forgery.catalogue import FORGERIES, Forgery
from tests.forgery.catalogue_bases import OTHERS
from tests.forgery.forger import resealed
from tests.forgery.signatures import trusted

EVERY = (*FORGERIES, *OTHERS)
ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "pipeline.verify.account_evidence", "pipeline.verify.approvals", "pipeline.verify.balances", "pipeline.verify.bundle", "pipeline.verify.checkpoint", "pipeline.verify.coins", "pipeline.verify.debts", "pipeline.verify.decisions", "pipeline.verify.descriptors", "pipeline.verify.documents", "pipeline.verify.evidence", "pipeline.verify.facts",
    "pipeline.verify.files", "pipeline.verify.filters", "pipeline.verify.manifest", "pipeline.verify.nonces", "pipeline.verify.omissions", "pipeline.verify.opened", "pipeline.verify.opening_line", "pipeline.verify.parquet_pages", "pipeline.verify.public_time",
    "pipeline.verify.receipts", "pipeline.verify.shapes", "pipeline.verify.signatures", "pipeline.verify.wallets", "pipeline.verify.work", "pipeline.verify.workbook",
    "pipeline.signing.signature", "pipeline.signing.path",
)  # fmt: skip
PURGED = ("pipeline.verify", "pipeline.signing")
"""Loaded anew for each check that is taken away; all else is not."""
_PLACEHOLDER = re.compile(r"\\{[a-z_0-9]+\\}")
"""Of a message's template, as `re.escape` writes it."""
_REFUSALS = {"ValueError", "VerifyError", "SigningError"}
TEXTS = {"_why_not_signed", "_take", "_take_key"}
"""Functions that return what is wrong, in words."""
TRIES = 20
OWN_CHECKS = {
    "pipeline.verify.account_evidence": {"headers", "proofs"},
    "pipeline.verify.approvals": {"approvals"},
    "pipeline.verify.balances": {"account balances"},
    "pipeline.verify.bundle": {"files", "report digest", "reported transfers", "recomputed from facts"},
    "pipeline.verify.checkpoint": {"work"},
    "pipeline.verify.coins": {"coins"},
    "pipeline.verify.decisions": {"decisions"},
    "pipeline.verify.debts": {"debts"},
    "pipeline.verify.descriptors": {"descriptors"},
    "pipeline.verify.documents": {"documents"},
    "pipeline.verify.evidence": {"headers", "proofs"},
    "pipeline.verify.facts": {"facts against chain"},
    "pipeline.verify.files": {"facts against chain", "proofs", "refused"},
    "pipeline.verify.filters": {"filters"},
    "pipeline.verify.manifest": {"manifest"},
    "pipeline.verify.nonces": {"nonces"},
    "pipeline.verify.omissions": {"manifest"},
    "pipeline.verify.opened": {"refused"},
    "pipeline.verify.opening_line": {"debts"},
    "pipeline.verify.parquet_pages": {"facts against chain"},
    "pipeline.verify.public_time": {"public time"},
    "pipeline.verify.receipts": {"receipts"},
    "pipeline.verify.shapes": {"files", "refused", "facts against chain"},
    "pipeline.verify.signatures": {"signatures"},
    "pipeline.verify.wallets": {"wallets"},
    "pipeline.verify.work": {"work"},
    "pipeline.verify.workbook": {"documents"},
    "pipeline.signing.path": {"signatures"},
    "pipeline.signing.signature": {"signatures"},
}
"""The checks that a module makes itself: their forgeries are tried first where several say the like."""
UNREACHED: dict[str, str] = {
    "is not the closing debt": "holds by how debts are computed: it guards the computation, not the bundle",
    "which another one of the facts spends": "takes two transactions in blocks of the chain that spend one coin: the chain's own work",
    "which does not exist": "takes a transaction in a block of the chain that spends what is not there: the chain's own work",
    "a column lies outside the file": "what lies there is no page's header either, and is refused as such",
    "have another root than its manifest states": "of receipts, not of a bundle: tests/integration/test_statement.py",
    "is no root: 64 hexadecimal digits": "of receipts, not of a bundle: tests/integration/test_statement.py",
    "states no root of the report's rows": "of receipts, not of a bundle: tests/integration/test_statement.py",
    "no chain is named that the month stands on": "takes facts of no chain at all: such a bundle reports nothing",
    "coins before the month, .*? created": "what was seen, no check",
    "coin of the closing set was spent by block": "what is on the signer's word, no check",
    "paid off chain: the ledger's word alone": "what is on the signer's word, no check",
    "some of its facts are not proved, so senders' numbers": "what is on the signer's word, no check",
    "the root key as the manifest says: ": "what is on the signer's word, no check",
    "waiver(s) of before the root key was in force": "what is on the signer's word, no check",
    "it has no header of Bitcoin's": "of --headers, not of a bundle: tests/integration/test_public_time.py",
    "its receipt is of type": "takes a receipt and a transaction of two types at one place of a block: the chain's own work",
    "and spends nothing of the pool's": "holds by how outflows are computed: it guards the computation, not the bundle",
    "the root key writes keys alone": "takes the root key",
    "the time stamp": "time stamps: tests/integration/test_timestamps.py",
    "is not one for time stamps": "time stamps: tests/integration/test_timestamps.py",
    "its certificate's key signs by": "GOST: tests/unit/signing, tests/integration/test_timestamps.py",
    "an authority's key usage must allow": "paths: tests/unit/signing/test_path.py",
    "neither a time stamp nor the signer says": "the library that signs here always states a time",
}
"""Checks that no forgery of the catalogue reaches, by words of theirs, with the reason."""


@dataclass(frozen=True)
class Site:
    """A place in the sources that says a fault or refuses a value."""

    module: str
    line: int
    column: int
    kind: str
    pattern: str
    """A regular expression for what it says."""

    def __str__(self) -> str:
        return f"{self.module.removeprefix('pipeline.')}:{self.line}"


def sites(module: str, tree: ast.Module) -> Iterator[Site]:
    """Every check of a module, in its order."""
    for node, function, is_in_handler in _walk(tree, "", is_in_handler=False):
        if (kind := _kind(node, function)) and not (kind == "raise" and is_in_handler):
            said = _said(node)
            if " " in said:  # else a name alone, as `TXID:VOUT` is
                yield Site(module, node.lineno, node.col_offset, kind, said)


def _walk(node: ast.AST, function: str, *, is_in_handler: bool) -> Iterator[tuple[Any, str, bool]]:
    for inner in ast.iter_child_nodes(node):
        name = inner.name if isinstance(inner, ast.FunctionDef) else function
        handled = is_in_handler or isinstance(inner, ast.ExceptHandler)
        yield inner, name, handled
        if _kind(inner, name) not in ("raise", "say", "finding"):  # what stands within a statement that is taken away goes with it
            yield from _walk(inner, name, is_in_handler=handled)


def _kind(node: ast.AST, function: str) -> str:
    """Which kind of check a node is; "" for none."""
    if (
        isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in _REFUSALS
    ):
        return "raise"
    if isinstance(node, ast.AugAssign) and "fault" in ast.unparse(node.target):
        return "say"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and re.search(r"fault\w*\.append$", ast.unparse(node.value.func)):
        return "say"
    if isinstance(node, ast.Return) and (kind := _kind_of_returned(node.value, function)):
        return kind
    if "word" in function or function.startswith("_why") or function == "_other_writers":
        return ""
    is_texts = isinstance(node, ast.ListComp) and _is_text(node.elt)
    is_choice = isinstance(node, ast.IfExp) and isinstance(node.orelse, ast.List) and not node.orelse.elts
    is_other_choice = isinstance(node, ast.IfExp) and isinstance(node.body, ast.List) and not node.body.elts
    if is_texts or is_choice or is_other_choice:
        return "list"
    if (
        isinstance(node, ast.Return)
        and function.endswith("_fault")
        and (_is_text(node.value) or isinstance(node.value, ast.Constant))
        and _said(node)
    ):
        return "text"
    is_empty_or_said = isinstance(node, ast.IfExp) and isinstance(node.body, ast.Constant) and node.body.value == ""
    return "choice" if is_empty_or_said and function.endswith("_fault") else ""


def _kind_of_returned(value: ast.expr | None, function: str) -> str:
    """Of a `Finding` or a list of faults that are named there and then, and of what functions of `TEXTS` return."""
    if isinstance(value, ast.List) and value.elts and "fault" in function and all(map(_is_text, value.elts)):
        return "finding"
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("Finding", "ReadFilters") and value.args:
        return "finding" if isinstance(value.args[0], ast.List) and value.args[0].elts else ""
    is_text = _is_text(value) or (isinstance(value, ast.Constant) and value.value)
    return "text" if function in TEXTS and is_text else ""


def _is_text(value: ast.AST | None) -> bool:
    """Whether it is a text with values in it: an f-string, or a message that can be translated."""
    is_message = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("message", "counted")
    return isinstance(value, ast.JoinedStr) or is_message


def _said(node: ast.AST) -> str:
    """What the node would say, as a regular expression: its longest text, with anything where values stand."""
    texts = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.JoinedStr):
            parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*?" for part in inner.values]
            texts.append("".join(parts))
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and len(inner.value) > 3:
            texts.append(_PLACEHOLDER.sub(".*?", re.escape(inner.value)))
    return max(texts, key=lambda text: len(text.replace(".*?", "")), default="")


class _Removal(ast.NodeTransformer):
    """Takes one check away."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def visit(self, node: ast.AST) -> Any:
        if (getattr(node, "lineno", 0), getattr(node, "col_offset", -1)) == (self.site.line, self.site.column):
            if self.site.kind in ("raise", "say", "finding") and isinstance(node, ast.Raise | ast.AugAssign | ast.Expr | ast.Return):
                return ast.copy_location(ast.Pass(), node)
            if self.site.kind == "list" and isinstance(node, ast.ListComp | ast.IfExp):
                return ast.copy_location(ast.List([], ast.Load()), node)
            if self.site.kind == "text" and isinstance(node, ast.Return):
                return ast.copy_location(ast.Return(ast.Constant("")), node)
            if self.site.kind == "choice" and isinstance(node, ast.IfExp):
                return ast.copy_location(ast.Constant(""), node)
        return self.generic_visit(node)


def load(site: Site | None = None) -> ModuleType:
    """`pipeline.verify.bundle`, loaded anew, without the check of `site`."""
    for name in [name for name in sys.modules if name.startswith(PURGED)]:
        del sys.modules[name]
    if site is not None:
        finder = _WithoutCheck(site)
        sys.meta_path.insert(0, finder)
        try:
            return importlib.import_module("pipeline.verify.bundle")
        finally:
            sys.meta_path.remove(finder)
    return importlib.import_module("pipeline.verify.bundle")


class _WithoutCheck:
    """Finds one module, and gives its source without one check."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.site.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Loader(spec.origin, self.site)
        return spec


class _Loader:
    def __init__(self, origin: str, site: Site) -> None:
        self.origin, self.site = origin, site

    def create_module(self, _spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        tree = _Removal(self.site).visit(ast.parse(Path(self.origin).read_text(encoding="utf-8")))
        exec(compile(ast.fix_missing_locations(tree), self.origin, "exec"), module.__dict__)


def come_to(verify: ModuleType, bundle: Path, forgery: Forgery) -> tuple[bool, str]:
    """Whether the forgery is caught as it should be, and all that is said of it."""
    judge = importlib.import_module("pipeline.verify.finding").judge
    others = {name for name, _ in verify.CHECKS} - {forgery.check}
    try:
        checks = verify.verify_bundle(bundle, trusted=trusted() if forgery.is_trusting else [], left_out=others, root_key=forgery.root_key)
    except EsepError as error:
        return forgery.check == "refused" and forgery.named in str(error), str(error)
    except Exception as error:  # noqa: BLE001 - a defect in what is left is no forgery that passes as before
        return False, repr(error)
    verdict = judge(checks, is_test_network=True)
    said = "\n".join(verdict.faults)
    failing = {check.name for check in checks if not check.holds}
    return forgery.check in failing and forgery.named in said and verdict.exit_code == 8, said


def honest_bundle(base: str, folder: Path) -> Path:
    """The honest bundle of that name, frozen; its database cut down, since nothing opens it."""
    folder.mkdir()
    bundle = BASES[base](folder)
    _writable(bundle)
    (bundle / "month.duckdb").write_bytes(b"a database")
    return resealed(bundle)


def forged_bundles(folder: Path, forgeries: Sequence[Forgery]) -> dict[str, Path]:
    """Each forgery in a folder of its own, as months lie."""
    honest = {base: honest_bundle(base, folder / base) for base in {forgery.base for forgery in forgeries}}
    made = {}
    for number, forgery in enumerate(forgeries):
        bundle = folder / "forged" / str(number) / "months" / "2026-10" / "v1"
        shutil.copytree(honest[forgery.base], bundle)
        forgery.forge(bundle)
        made[str(forgery)] = bundle
    return made


def _writable(bundle: Path) -> None:
    for path in [bundle, *bundle.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.of_verify", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only checks of modules whose name holds this")
    parser.add_argument(
        "--of", action="append", default=[], metavar="MODULE", help="only checks of this module (coins, wallets, …), by its own forgeries"
    )
    parser.add_argument("--list", action="store_true", help="only say which checks there are")
    options = parser.parse_args(arguments)
    found = [
        site
        for module in MODULES
        if (not options.only or any(text in module for text in options.only))
        and (not options.of or module.rpartition(".")[2] in options.of)
        for site in sites(module, ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")))
    ]
    if options.list:
        print("\n".join(f"{site} {site.kind}: {site.pattern}" for site in found))
        return 0
    with tempfile.TemporaryDirectory(prefix="mutation-of-verify-") as name:
        return _try_all(found, _forgeries_of(options.of), Path(name))


def _forgeries_of(modules: Sequence[str]) -> list[Forgery]:
    """Those that the checks of these modules catch; all where none is named."""
    if not modules:
        return list(EVERY)
    checks = {check for module, own in OWN_CHECKS.items() if module.rpartition(".")[2] in modules for check in own}
    return [forgery for forgery in EVERY if forgery.check in checks]


def _try_all(found: list[Site], forgeries: list[Forgery], folder: Path) -> int:
    bundles = forged_bundles(folder, forgeries)
    verify, words = load(), {}
    for forgery in forgeries:
        is_caught, words[str(forgery)] = come_to(verify, bundles[str(forgery)], forgery)
        if not is_caught:
            print(f"with all checks the forgery {forgery} is not caught: {words[str(forgery)][:300]}", file=sys.stderr)
            return 2
    print("| check | what it says | caught by | s |\n|---|---|---|---|", flush=True)
    counts = {"caught": 0, "LIVES": 0, "unreached": 0}
    for site in found:
        began = time.monotonic()
        verdict, by = _try(site, forgeries, bundles, words)
        counts[verdict] += 1
        shown = by if verdict == "caught" else f"**{verdict}**: {by}"
        print(f"| `{site}` | {site.pattern.replace('|', '/')[:90]} | {shown} | {time.monotonic() - began:.1f} |", flush=True)
    load()
    print(
        f"\n{counts['caught']} of {len(found)} checks caught, {counts['unreached']} reached by no forgery for a reason given, {counts['LIVES']} live"
    )
    return 1 if counts["LIVES"] else 0


def _try(site: Site, forgeries: list[Forgery], bundles: dict[str, Path], words: dict[str, str]) -> tuple[str, str]:
    """What became of verify without the check, and by which forgery it was seen."""
    meant = re.compile(site.pattern, re.DOTALL)
    saying = [forgery for forgery in forgeries if meant.search(words[str(forgery)])]
    saying.sort(
        key=lambda forgery: (
            forgery.check not in OWN_CHECKS.get(site.module, set()),
            not re.search(re.escape(forgery.named), re.sub(r"\\(.)", r"\1", site.pattern)),
        )
    )
    if saying:
        verify = load(site)
        for forgery in saying[:TRIES]:
            if not come_to(verify, bundles[str(forgery)], forgery)[0]:
                return "caught", str(forgery)
    reason = next((reason for text, reason in UNREACHED.items() if text in re.sub(r"\\(.)", r"\1", site.pattern)), "")
    if reason:
        return "unreached", reason
    return "LIVES", f"{len(saying)} forgeries say it, and are caught all the same" if saying else "no forgery makes it speak"


if __name__ == "__main__":
    sys.exit(main())
