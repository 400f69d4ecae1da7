"""Every forgery by its name, as data: what it changes, which check catches it, and what that check says.

`test_catalogue.py` makes each from an honest bundle and sees it caught; `tests/mutation/of_verify.py` takes verify's checks away one at a time, and wants one of these to pass then.
The numbers are those of the kinds: 1 signatures, 2 facts against bytes, 3 what is left out, 4 whose wallets, 5 the chain, 6 decisions, 7 documents, 9 shapes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.chains.bitcoin.wire import double_sha256
from pipeline.enrich.frames import DOUBTS, OBSERVATIONS, Facts
from pipeline.model.rules import Asset, Rules
from pipeline.verify.shapes import APPROVALS

from . import (
    descriptors,
    filters,
    headers,
    test_approvals,
    test_coins,
    test_facts,
    test_manifest,
    test_opening_line,
    test_shapes,
    test_wallets,
)
from .forger import frame, manifest_of, resealed, rewritten
from .signatures import SIGNED
from .test_manifest import setting

FACTS, MANIFEST, HEADERS, PROOFS, WORK, FILES = "facts against chain", "manifest", "headers", "proofs", "work", "files"
DOCUMENTS, SIGNATURES, DEBTS, RECOMPUTED, TRANSFERS = "documents", "signatures", "debts", "recomputed from facts", "reported transfers"
RECEIPTS, FILTERS = "receipts", "filters"
REFUSED = "refused"
"""The bundle is refused whole, before any check."""


@dataclass(frozen=True)
class Forgery:
    """One lie, told consistently."""

    number: int
    name: str
    forge: Callable[[Path], object]
    check: str
    """The check that catches it."""
    named: str
    """What that check says, among others."""
    is_trusting: bool = False
    """Whether the auditor names the authorities that signers must stand under."""
    base: str = "month"
    """Which honest bundle it is made from (`bases`)."""
    root_key: str | None = None
    """Which root key the auditor asks for."""

    def __str__(self) -> str:
        return f"{self.number}-{self.name}".replace(" ", "_")


def _words(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", " ")


def _of_rules(change: Callable[[Rules], Rules], manifest: Callable[[dict[str, Any]], Any] = lambda _: None) -> Callable[[Path], object]:
    return lambda bundle: rewritten(bundle, rules=change, manifest=manifest)


def _resealed_with(*path: str | int, to: Any) -> Callable[[Path], object]:
    return lambda bundle: resealed(bundle, setting(*path, to=to))


# --- 2: facts against bytes


def _one_cell(name: str, column: str, value: Any, *, where: pl.Expr | None = None) -> Callable[[Path], object]:
    """One cell of a frame, on disk; everything but the digests stays as it is, so that one check alone must see it."""

    def forge(bundle: Path) -> None:
        path = bundle / "evidence" / "facts" / f"{name}.parquet"
        whole = pl.read_parquet(path)
        rows = whole.with_row_index("row").filter(where if where is not None else pl.lit(True))["row"].to_list()
        cells = whole[column].to_list()
        place = rows[len(rows) * 3 // 4]
        cells[place] = value(cells[place]) if callable(value) else value
        whole.with_columns(pl.Series(column, cells, dtype=whole.schema[column])).write_parquet(path)
        resealed(bundle)

    return forge


def _other(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


_IS_COINBASE = pl.col("is_coinbase")
_PLAIN = ~pl.col("is_coinbase") & (pl.col("other_inputs") == 0)
_HAS_ADDRESS = pl.col("address").is_not_null()
CELLS: list[tuple[str, str, Any, pl.Expr | None, str]] = [
    ("blocks", "chain", "litecoin", None, "the rules name no network for the chain 'litecoin'"),
    ("blocks", "hash", _other, None, "is not the one proven"),
    ("blocks", "height", lambda n: n + 1, None, "share a height with another one"),
    ("blocks", "time", lambda n: n - 86_400, None, "has the time"),
    ("blocks", "mediantime", lambda n: n - 1, None, "has the median time"),
    ("blocks", "mediantime", None, None, "blocks have rows without mediantime"),
    ("transactions", "chain", "litecoin", None, "is proved, but the facts leave it out"),
    ("transactions", "block_hash", _other, None, "itself not"),
    ("transactions", "txid", _other, None, "nothing proves it"),
    ("transactions", "position", lambda n: n + 1, None, "the facts say"),
    ("transactions", "is_coinbase", True, _PLAIN, "coinbase, the facts say otherwise"),
    ("transactions", "is_coinbase", False, _IS_COINBASE, "coinbase, the facts say otherwise"),
    ("transactions", "other_inputs", 1, _PLAIN, "its inputs are others than the facts say"),
    ("transactions", "other_inputs", 1, _IS_COINBASE, "is a coinbase, and the facts give it inputs or a fee"),
    ("transactions", "other_inputs", None, _IS_COINBASE, "transactions have rows without other_inputs"),
    ("transactions", "other_inputs_value", Decimal(5), _PLAIN, "has no inputs of strangers, and the facts give them a value"),
    ("transactions", "other_inputs_value", Decimal(5), _IS_COINBASE, "is a coinbase, and the facts give it inputs or a fee"),
    ("transactions", "fee", lambda n: n + 1, _PLAIN, "the facts say that its fee is"),
    ("transactions", "fee", Decimal(-1), _PLAIN, "the facts say that its fee is -1"),
    ("transactions", "fee", Decimal(5), _IS_COINBASE, "is a coinbase, and the facts give it inputs or a fee"),
    ("transactions", "fee", None, _IS_COINBASE, "transactions have rows without fee"),
    ("transactions", "fee_asset", "LTC", None, "its asset is BTC, the facts say otherwise"),
    ("inputs", "block_hash", _other, None, "its inputs stand in the facts, itself not"),
    ("inputs", "txid", _other, None, "its inputs stand in the facts, itself not"),
    ("inputs", "spent_txid", _other, None, "its inputs are others than the facts say"),
    ("inputs", "spent_vout", lambda n: n + 1, None, "its inputs are others than the facts say"),
    ("inputs", "value", lambda n: n + 1, None, "is not what that one pays"),
    ("inputs", "address", _other, _HAS_ADDRESS, "is not what that one pays"),
    ("inputs", "address", None, _HAS_ADDRESS, "is not what that one pays"),
    ("inputs", "wallet", "another", None, "is not what that one pays"),
    ("inputs", "wallet", None, None, "inputs have rows without wallet"),
    ("inputs", "asset", "LTC", None, "its asset is BTC, the facts say otherwise"),
    ("outputs", "block_hash", _other, None, "its outputs stand in the facts, itself not"),
    ("outputs", "txid", _other, None, "its outputs stand in the facts, itself not"),
    ("outputs", "vout", lambda n: n + 1_000, None, "its outputs are others than the facts say"),
    ("outputs", "value", lambda n: n + 1, None, "its outputs are others than the facts say"),
    ("outputs", "address", _other, _HAS_ADDRESS, "its outputs are others than the facts say"),
    ("outputs", "address", None, _HAS_ADDRESS, "its outputs are others than the facts say"),
    ("outputs", "wallet", "another", pl.col("wallet").is_not_null(), "is the pool's in one place"),
    ("outputs", "asset", "LTC", None, "its asset is BTC, the facts say otherwise"),
    ("outputs", "script_type", "pubkey", None, "its outputs are others than the facts say"),
    ("outputs", "is_unspendable", lambda told: not told, None, "its outputs are others than the facts say"),
]
"""One cell of what a chain says, column by column."""


def _fee_wallet(bundle: Path) -> None:
    path = bundle / "evidence" / "facts" / "transactions.parquet"
    whole = pl.read_parquet(path)
    bears = pl.when(~pl.col("is_coinbase")).then(pl.lit("pool")).otherwise(None).cast(pl.String)
    whole.with_columns(fee_wallet=bears).write_parquet(path)
    resealed(bundle)


def _frame_on_disk(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], object]:
    def forge(bundle: Path) -> None:
        path = bundle / "evidence" / "facts" / f"{name}.parquet"
        change(pl.read_parquet(path)).write_parquet(path)
        resealed(bundle)

    return forge


def _told_twice(whole: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([whole, whole.tail(1)])


def _observed(facts: Facts) -> Facts:
    """A balance that nobody can observe overrules what the outputs leave in a wallet."""
    tip = facts.blocks.sort("height").row(-1, named=True)
    told = facts.outputs.filter(pl.col("wallet").is_not_null()).row(0, named=True)
    row = {"chain": "bitcoin", "height": tip["height"], "block_hash": tip["hash"], "wallet": told["wallet"], "address": told["address"],
           "asset": "BTC", "value": 0}  # fmt: skip
    return dataclasses.replace(facts, observations=pl.DataFrame([row], schema=OBSERVATIONS))


def _doubted(facts: Facts) -> Facts:
    tip = facts.blocks.sort("height").row(-1, named=True)
    row = {"chain": "bitcoin", "height": tip["height"], "hash": tip["hash"], "time": tip["time"], "detail": "told otherwise", "txid": None}
    return dataclasses.replace(facts, doubts=pl.DataFrame([row], schema=DOUBTS))


def _on_disk(make: Callable[[Facts], Facts], *names: str) -> Callable[[Path], object]:
    """What `make` makes of the facts, for the named frames only, without the honest writer: quick, and what it breaks besides is not told."""

    def forge(bundle: Path) -> None:
        from pipeline.verify.files import read_facts

        facts = make(read_facts(bundle / "evidence" / "facts"))
        for name in names:
            written = getattr(facts, name).with_columns(pl.col(pl.Int128).cast(pl.Decimal(38, 0)))
            written.write_parquet(bundle / "evidence" / "facts" / f"{name}.parquet")
        resealed(bundle)

    return forge


def _coin_spent_twice(facts: Facts) -> Facts:
    """Two transactions of the facts are said to spend the same coin: only bytes show what each spends."""
    first, second = facts.inputs.filter(pl.col("wallet").is_not_null()).sort("txid").unique("txid", maintain_order=True).head(2).to_dicts()
    is_second = (pl.col("txid") == second["txid"]) & (pl.col("spent_txid") == second["spent_txid"])
    return frame(
        "inputs",
        lambda inputs: inputs.with_columns(
            pl.when(is_second).then(pl.lit(first["spent_txid"])).otherwise("spent_txid").alias("spent_txid"),
            pl.when(is_second).then(pl.lit(first["spent_vout"])).otherwise("spent_vout").cast(pl.Int32).alias("spent_vout"),
        ),
    )(facts)


# --- 5: the chain, and the proofs that hang on it


def _headers(change: Callable[[list[list[str]]], list[list[str]]]) -> Callable[[Path], object]:
    """The lines of `headers.csv` (chain, height, hash, median time, header), without their heading."""

    def forge(bundle: Path) -> None:
        path = bundle / "evidence" / "headers.csv"
        heading, *lines = path.read_text().splitlines()
        changed = change([line.split(",") for line in lines])
        path.write_text("\n".join([heading, *(",".join(line) for line in changed)]) + "\n")
        resealed(bundle)

    return forge


def _hash_of(header: str) -> str:
    return double_sha256(bytes.fromhex(header))[::-1].hex()


def _easier(lines: list[list[str]]) -> list[list[str]]:
    """The last header claims the main network's least work, which it has not."""
    header = bytearray.fromhex(lines[-1][4])
    header[72:76] = bytes.fromhex("ffff001d")
    return [*lines[:-1], [*lines[-1][:2], _hash_of(header.hex()), lines[-1][3], header.hex()]]


def _other_hash(lines: list[list[str]]) -> list[list[str]]:
    return [*lines[:-1], [*lines[-1][:2], _other(lines[-1][2]), *lines[-1][3:]]]


def _unlinked(lines: list[list[str]]) -> list[list[str]]:
    """The last header follows another block."""
    header = bytearray.fromhex(lines[-1][4])
    header[4] ^= 1
    return [*lines[:-1], [*lines[-1][:2], _hash_of(header.hex()), lines[-1][3], header.hex()]]


def _cut_short(lines: list[list[str]]) -> list[list[str]]:
    return [*lines[:-1], [*lines[-1][:4], lines[-1][4][:-2]]]


def _with_a_gap(lines: list[list[str]]) -> list[list[str]]:
    return lines[:100] + lines[101:]


def _ends_early(lines: list[list[str]]) -> list[list[str]]:
    return lines[:-500]


def _proof(change: Callable[[dict[str, Any]], Any], *, is_appended: bool = False) -> Callable[[Path], object]:
    """One line of `proofs.jsonl` changed, or a changed copy of it put beside it."""

    def forge(bundle: Path) -> None:
        path = bundle / "evidence" / "proofs.jsonl"
        proofs = [json.loads(line) for line in path.read_bytes().splitlines()]
        chosen = next(proof for proof in reversed(proofs) if len(proof["branch"]) > 1)
        if is_appended:
            proofs.append(json.loads(json.dumps(chosen)))
            chosen = proofs[-1]
        change(chosen)
        path.write_text("".join(json.dumps(proof) + "\n" for proof in proofs))
        resealed(bundle)

    return forge


def _inner_node(proof: dict[str, Any]) -> None:
    """Two hashes of the tree, told to be a transaction (CVE-2017-12842)."""
    raw = (double_sha256(bytes.fromhex(proof["raw"])) + bytes.fromhex(proof["branch"][0])[::-1])[:64]
    proof.update(raw=raw.hex(), txid=double_sha256(raw)[::-1].hex(), branch=proof["branch"][1:], position=proof["position"] >> 1)


def _fewer_proofs(bundle: Path) -> None:
    path = bundle / "evidence" / "proofs.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().splitlines()[1:]))
    resealed(bundle)


# --- 6: decisions


def _no_work(bundle: Path) -> None:
    """A chain of a laptop's is said to be the main network's, long after its checkpoint."""
    path = bundle / "evidence" / "headers.csv"
    headers = pl.read_csv(path, infer_schema=False)
    headers.with_columns((pl.col("height").cast(pl.Int64) + 3_000_000).alias("height")).write_csv(path)
    resealed(bundle, lambda manifest: manifest["rules"]["network"].update(bitcoin="bitcoin"))


def _named_network(name: str) -> Callable[[Path], object]:
    return lambda bundle: resealed(bundle, lambda manifest: manifest["rules"]["network"].update(bitcoin=name))


def _no_finality(manifest: dict[str, Any]) -> None:
    manifest["conditions"] = [condition for condition in manifest["conditions"] if "bitcoin" not in condition["name"]]


def _chain_of_no_finality(rules: Rules) -> Rules:
    return dataclasses.replace(rules, finality={})


def _decimals(rules: Rules) -> Rules:
    return dataclasses.replace(rules, assets=rules.assets | {"BTC": Asset("BTC", "bitcoin", 7)})


def _two_coins(rules: Rules) -> Rules:
    return dataclasses.replace(rules, assets=rules.assets | {"XBT": Asset("XBT", "bitcoin", 8)})


def _token_of_bitcoin(rules: Rules) -> Rules:
    return dataclasses.replace(rules, assets=rules.assets | {"USDT": Asset("USDT", "bitcoin", 6, "0x" + "ab" * 20)})


def _other_coin(manifest: dict[str, Any]) -> None:
    manifest["rules"]["network"]["bitcoin"] = "litecoin_regtest"


def _version_without_reason(manifest: dict[str, Any]) -> None:
    manifest.update(version=2, reason=" ")


def _debts_of(manifest: dict[str, Any], **changes: Any) -> None:
    closing = {asset: amounts["opening"] for asset, amounts in manifest["debts"]["totals"].items()}
    manifest["debts"]["previous"] = {
        "month": "2026-09",
        "version": 1,
        "closing": closing,
        "closing_digest": manifest["debts"]["opening_digest"],
        "closing_line_digest": manifest["debts"]["opening_line_digest"],
        "line_format": manifest["debts"]["line_format"],
    } | changes
    manifest["previous_digest"] = "ab" * 32


def _debts_of_another_month(manifest: dict[str, Any]) -> None:
    _debts_of(manifest, month="2026-08")


def _debts_of_a_month_never_reported(manifest: dict[str, Any]) -> None:
    _debts_of(manifest)
    manifest["previous_digest"] = None


def _low_parameters(rules: Rules) -> Rules:
    return dataclasses.replace(
        rules, network={"bitcoin": "bitcoin"}, finality={"bitcoin": 1}, payout_unit=rules.payout_unit | {"BTC": 10**8}
    )


def _issues_emptied(bundle: Path) -> None:
    (bundle / "issues.csv").write_text("code,severity,ref,detail\n")
    resealed(bundle)


def _tied_to_nothing(bundle: Path) -> None:
    """A row names a transaction that no line of the evidence proves."""
    path = bundle / "rows.csv"
    ties = pl.read_csv(path, infer_schema=False)
    ties.with_columns(txid=pl.when(pl.col("txid").is_not_null()).then(pl.lit("ab" * 32))).write_csv(path, line_terminator="\n")
    resealed(bundle)


def _beside(change: Callable[[dict[str, Any]], Any], own: Callable[[dict[str, Any]], Any]) -> Callable[[Path], object]:
    """The bundle of the month before lies beside this one; `own` changes this one's manifest, told of that one's."""

    def forge(bundle: Path) -> None:
        before = bundle.parent.parent / "2026-09" / "v1"
        shutil.copytree(bundle, before)
        resealed(before, lambda manifest: (manifest.update(month="2026-09"), change(manifest))[1])
        theirs = manifest_of(before)
        _of_before = {
            "month": "2026-09", "version": 1, "closing": {asset: sums["closing"] for asset, sums in theirs["debts"]["totals"].items()},
            "closing_digest": theirs["debts"]["closing_digest"], "closing_line_digest": theirs["debts"]["closing_line_digest"],
            "line_format": theirs["debts"]["line_format"],
        }  # fmt: skip

        def chained(manifest: dict[str, Any]) -> None:
            manifest["previous_digest"] = theirs["digest"]
            manifest["debts"]["previous"] = _of_before
            own(manifest)

        resealed(bundle, chained)

    return forge


def _nothing(manifest: dict[str, Any]) -> None:
    """No change."""


def _of_no_version_there(manifest: dict[str, Any]) -> None:
    manifest["debts"]["previous"]["version"] = 7


def _of_another_digest(manifest: dict[str, Any]) -> None:
    manifest["previous_digest"] = "ab" * 32


def _of_other_debts(manifest: dict[str, Any]) -> None:
    manifest["debts"]["previous"]["closing_digest"] = "ab" * 32


def _of_another_line(manifest: dict[str, Any]) -> None:
    manifest["debts"]["previous"]["closing_line_digest"] = "ab" * 32


def _of_no_debts(manifest: dict[str, Any]) -> None:
    manifest["debts"]["previous"] = None


def _invented_row(bundle: Path) -> None:
    path = bundle / "report.csv"
    lines = path.read_text().splitlines()
    number, rest = lines[-1].split(",", 1)
    path.write_text("\n".join([*lines, f"{int(number) + 1},{rest}"]) + "\n")
    ties = bundle / "rows.csv"
    tie = ties.read_text().splitlines()[-1].split(",", 1)[1]
    ties.write_text(ties.read_text() + f"{int(number) + 1},{tie}\n")
    resealed(bundle, setting("rows", to=int(number) + 1))


def _left_out_row(bundle: Path) -> None:
    for name in ("report.csv", "rows.csv"):
        path = bundle / name
        path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    resealed(bundle, setting("rows", to=manifest_of(bundle)["rows"] - 1))


def _untied_rows(bundle: Path) -> None:
    """Rows show transfers and name no transaction."""
    path = bundle / "rows.csv"
    ties = pl.read_csv(path, infer_schema=False)
    ties.with_columns(txid=pl.lit(None, pl.String)).write_csv(path, line_terminator="\n")
    resealed(bundle)


def _tied_elsewhere(bundle: Path) -> None:
    """A row names a transaction that pays somebody else."""
    path = bundle / "rows.csv"
    ties = pl.read_csv(path, infer_schema=False)
    ids = ties["txid"].to_list()
    settled = [place for place, txid in enumerate(ids) if txid]
    ids[settled[0]] = ids[settled[-1]]
    ties.with_columns(txid=pl.Series(ids)).write_csv(path, line_terminator="\n")
    resealed(bundle)


def _fewer_ties(bundle: Path) -> None:
    path = bundle / "rows.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    resealed(bundle)


def _cell_of_report(column: str, value: str) -> Callable[[Path], object]:
    def forge(bundle: Path) -> None:
        path = bundle / "report.csv"
        rows = pl.read_csv(path, infer_schema=False)
        cells = rows[column].to_list()
        place = next(place for place, cell in enumerate(rows["transfer_date"]) if cell)
        cells[place] = value
        rows.with_columns(pl.Series(column, cells)).write_csv(path, line_terminator="\n")
        resealed(bundle)

    return forge


def _another_root(key: str, value: Any) -> Callable[[Path], object]:
    return lambda bundle: resealed(bundle, setting("receipts", key, to=value))


def _another_debt(bundle: Path) -> None:
    path = bundle / "debts.csv"
    rows = pl.read_csv(path, infer_schema=False)
    rows.with_columns(closing=pl.lit("0.00000000")).write_csv(path, line_terminator="\n")
    resealed(bundle)


def _allocated_otherwise(bundle: Path) -> None:
    path = bundle / "debts.csv"
    rows = pl.read_csv(path, infer_schema=False)
    rows.with_columns(allocated="settled", settled="allocated").select(rows.columns).write_csv(path, line_terminator="\n")
    resealed(bundle)


# --- 7: documents that another version of their writer is said to have made


def _workbook(part: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def forge(bundle: Path) -> None:
        path = bundle / "report.xlsx"
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename: archive.read(info) for info in archive.infolist()}
        assert change(parts[part]) != parts[part]
        parts[part] = change(parts[part])
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        resealed(bundle, setting("software", "xlsxwriter", to="0.1"))

    return forge


def _no_workbook(bundle: Path) -> None:
    (bundle / "report.xlsx").write_bytes(b"PK no workbook")
    resealed(bundle, setting("software", "xlsxwriter", to="0.1"))


def _workbook_bomb(bundle: Path) -> None:
    with zipfile.ZipFile(bundle / "report.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<a>" + b" " * (80 << 20) + b"</a>")
    resealed(bundle, setting("software", "xlsxwriter", to="0.1"))


def _document_of_another(bundle: Path) -> None:
    shutil.copyfile(bundle / "report.pdf", bundle / "report.zz.pdf")
    resealed(bundle)


def _older_pdf(bundle: Path) -> None:
    test_manifest.another_pdf(bundle)
    resealed(bundle, setting("software", "reportlab", to="0.1"))


def _older_json(bundle: Path) -> None:
    path = bundle / "report.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0.00237505", "9.00237505", 1), encoding="utf-8")
    resealed(bundle, setting("software", "esep", to="0.0.9"))


# --- 9: shapes


def _bomb(make: Callable[[], pa.Array], name: str = "wallet") -> Callable[[Path], object]:
    """A column of some type that takes little on disk; it is made when it is wanted, for in memory some take hundreds of megabytes."""

    def forge(bundle: Path) -> None:
        column = make()
        path = bundle / "evidence" / "facts" / "pool_wallets.parquet"
        pq.write_table(pa.table({"chain": pa.repeat("bitcoin", len(column)), name: column}), path, compression="zstd")
        assert path.stat().st_size < 4 << 20
        resealed(bundle)

    return forge


def _lying_footer(bundle: Path) -> None:
    """The footer says that a column has two rows and no bytes to speak of; its one page unpacks to 100 MB."""
    path = bundle / "evidence" / "facts" / "pool_wallets.parquet"
    long = pa.array(["b" * 100_000_000, "c"])
    pq.write_table(pa.table({"chain": pa.array(["bitcoin", "bitcoin"]), "wallet": long}), path, compression="zstd", use_dictionary=False)
    raw = path.read_bytes()
    length = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - length : -8]
    real = pq.ParquetFile(path).metadata.row_group(0)
    for size in {real.total_byte_size, real.column(1).total_uncompressed_size}:
        told = _varint(size * 2)
        assert told in footer
        footer = footer.replace(told, _padded(1000 * 2, len(told)))
    path.write_bytes(raw[: -8 - length] + footer + raw[-8:])
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size == 1000
    resealed(bundle)


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _padded(value: int, length: int) -> bytes:
    """The number in so many bytes: leading zeros are read, too."""
    out = bytearray()
    for place in range(length):
        out.append(value >> 7 * place & 0x7F | (0x80 if place < length - 1 else 0))
    return bytes(out)


def _no_parquet(bundle: Path) -> None:
    (bundle / "evidence" / "facts" / "pool_wallets.parquet").write_bytes(b"PAR1 nothing PAR1")
    resealed(bundle)


def _another_column(bundle: Path) -> None:
    path = bundle / "evidence" / "facts" / "miners.parquet"
    pl.read_parquet(path).with_columns(note=pl.lit("approved")).write_parquet(path)
    resealed(bundle)


def _huge(name: str) -> Callable[[Path], object]:
    """A file of a terabyte, of which no byte is on the disk."""

    def forge(bundle: Path) -> None:
        whole = (bundle / name).read_bytes()
        (bundle / name).unlink()
        (bundle / name).write_bytes(whole)
        os.truncate(bundle / name, 1 << 40)

    return forge


def _unnamed(bundle: Path) -> None:
    resealed(bundle, lambda manifest: manifest["files"].pop("debts.csv") and None)


def _missing(bundle: Path) -> None:
    (bundle / "transfers.csv").unlink()


def _changed(bundle: Path) -> None:
    path = bundle / "transfers.csv"
    path.write_bytes(path.read_bytes() + b"\n")


def _another_digest(bundle: Path) -> None:
    resealed(bundle, setting("digest", to="ab" * 32))


def _key_twice(bundle: Path) -> None:
    resealed(bundle)
    path = bundle / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1,', '"version": 9, "version": 1,', 1), encoding="utf-8")


def _long_proof(bundle: Path) -> None:
    path = bundle / "evidence" / "proofs.jsonl"
    path.write_bytes(path.read_bytes() + b'{"chain": "' + b"x" * (9 << 20) + b'"}\n')
    resealed(bundle)


def _many_columns(bundle: Path) -> None:
    path = bundle / "evidence" / "facts" / "pool_wallets.parquet"
    pl.read_parquet(path).with_columns(pl.lit(1).alias(f"c{number}") for number in range(70)).write_parquet(path)
    resealed(bundle)


def _shorter_page(raw: bytes) -> bytes:
    """Its packed size (the third field, zigzag) is told a byte less."""
    assert raw[:2] == b"\x15\x00" and raw[2] == 0x15 and raw[4] == 0x15
    return raw[:5] + bytes([raw[5] - 2]) + raw[6:]


def _other_values(raw: bytes) -> bytes:
    """The number of values in its own header (the first field of the struct after the sizes)."""
    place = raw.index(b"\x2c\x15") + 2
    return raw[:place] + bytes([raw[place] + 2]) + raw[place + 1 :]


def _page_headers(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """The first page's header rewritten in place, of the same length, by what stands before its content."""

    def forge(bundle: Path) -> None:
        path = bundle / "evidence" / "facts" / "pool_wallets.parquet"
        pq.write_table(
            pa.table({"chain": ["bitcoin"] * 3, "wallet": ["pool"] * 3}),
            path,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
        raw = path.read_bytes()
        path.write_bytes(raw[:4] + change(raw[4:40]) + raw[40:])
        assert path.read_bytes() != raw
        resealed(bundle)

    return forge


def _fraction(bundle: Path) -> None:
    path = bundle / "manifest.json"
    resealed(bundle)
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1,', '"version": 1.0,', 1), encoding="utf-8")


FORGERIES: tuple[Forgery, ...] = (
    *(Forgery(1, name, forge, REFUSED if name == "too large" else SIGNATURES, named, is_trusting=True) for name, forge, named in SIGNED),
    # 3 and 4: what is left out whole, and wallets that are not the pool's
    *(Forgery(3, _words(forge), forge, "coins", named) for forge, named in test_coins.COINS),
    *(Forgery(3, name, forge, FILTERS, named) for name, forge, named in filters.FORGED),
    *(Forgery(4, name, forge, "descriptors", named) for name, forge, named in descriptors.FORGED),
    *(Forgery(4, _words(forge), lambda bundle, forge=forge: test_wallets.relisted(bundle, forge(bundle)), "wallets", named) for forge, named in test_wallets.WALLETS),  # type: ignore[misc]
    # 2: facts written anew by the honest writer, and single cells
    *(Forgery(2, _words(make), lambda bundle, make=make: rewritten(bundle, facts=make), FACTS, named) for make, named in test_facts.FACTS),  # type: ignore[misc]
    *(
        Forgery(2, f"{frame_} {column} {number}", _one_cell(frame_, column, value, where=where), FACTS, named)
        for number, (frame_, column, value, where, named) in enumerate(CELLS)
    ),
    Forgery(2, "a wallet that bears all fees", _fee_wallet, FACTS, "its asset is BTC, the facts say otherwise"),
    Forgery(2, "a transaction told twice", _frame_on_disk("transactions", _told_twice), FACTS, "stands in the facts twice"),
    Forgery(2, "an input told twice", _frame_on_disk("inputs", _told_twice), FACTS, "its inputs are others than the facts say"),
    Forgery(2, "an output told twice", _frame_on_disk("outputs", _told_twice), FACTS, "its outputs are others than the facts say"),
    Forgery(2, "an observed balance", _on_disk(_observed, "observations"), FACTS, "observed balances or doubts of bitcoin"),
    Forgery(2, "a doubt", _on_disk(_doubted, "doubts"), FACTS, "observed balances or doubts of bitcoin"),
    Forgery(2, "a coin spent twice", _on_disk(_coin_spent_twice, "inputs"), FACTS, "its inputs are others than the facts say"),
    # 5
    Forgery(5, "a header that claims work", _headers(_easier), HEADERS, "does not meet the target"),
    Forgery(5, "another hash", _headers(_other_hash), HEADERS, "the header's hash is"),
    Forgery(5, "a header of another chain", _headers(_unlinked), HEADERS, "does not follow block"),
    Forgery(5, "a header cut short", _headers(_cut_short), HEADERS, "bitcoin block 5113"),
    Forgery(5, "a header left out", _headers(_with_a_gap), HEADERS, "does not follow block"),
    Forgery(5, "headers that end early", _headers(_ends_early), FACTS, "is not the one proven"),
    Forgery(5, "another branch", _proof(lambda p: p.update(branch=["00" * 32, *p["branch"][1:]])), PROOFS, "does not lead to the header's root"),
    Forgery(5, "another place in the block", _proof(lambda p: p.update(position=p["position"] ^ 1)), PROOFS, "does not lead to the header's root"),
    Forgery(5, "other bytes", _proof(lambda p: p.update(raw=p["raw"][:-2] + "ff")), PROOFS, "its bytes hash to another id"),
    Forgery(5, "another block", _proof(lambda p: p.update(height=p["height"] + 1)), PROOFS, "is not among the headers"),
    Forgery(5, "an inner node as a transaction", _proof(_inner_node, is_appended=True), PROOFS, "could be an inner node"),
    Forgery(5, "a proof twice", _proof(lambda p: None, is_appended=True), PROOFS, "is proved twice"),
    Forgery(5, "a proof left out", _fewer_proofs, FACTS, "nothing proves it"),
    Forgery(5, "a proof of odd types", _proof(lambda p: p.update(height="high")), PROOFS, "proofs.jsonl:"),
    Forgery(5, "a main network's name", _named_network("bitcoin"), HEADERS, "does not meet the target"),
    Forgery(5, "a main network without its work", _no_work, WORK, "claims the work of 2 hashes"),
    *(Forgery(5, name, forge, WORK, named) for name, forge, named in headers.FORGED),
    Forgery(5, "a network of no name", _named_network("mainnet"), REFUSED, "its rules name a network that is none"),
    # 6
    *(Forgery(6, f"manifest {number}", lambda bundle, change=change: resealed(bundle, change), DEBTS if "debts" in named else MANIFEST, named)  # type: ignore[misc]
      for number, (change, named) in enumerate(test_manifest.CHANGES)),
    *(Forgery(6, f"an approval {name}", lambda bundle, make=make: test_approvals.write(bundle, *make(bundle)), "approvals", named)  # type: ignore[misc]
      for name, (make, named) in test_approvals.FORGERIES.items()),
    Forgery(6, "an approval that can't be read", lambda bundle: (bundle / APPROVALS).write_text("{}\n"), "approvals", f"{APPROVALS}:1"),
    Forgery(6, "a chain of no finality", _of_rules(_chain_of_no_finality, _no_finality), WORK, "of which the rules say no finality or no network"),
    Forgery(6, "decimals of a coin", _of_rules(_decimals), MANIFEST, "BTC has 7 decimals: the coin of bitcoin has 8"),
    Forgery(6, "two coins of one chain", _of_rules(_two_coins), MANIFEST, "the chain bitcoin has the coins BTC, XBT"),
    Forgery(6, "a token on bitcoin", _of_rules(_token_of_bitcoin), MANIFEST, "USDT is a token's contract on bitcoin"),
    Forgery(6, "another network's coin", lambda bundle: resealed(bundle, _other_coin), MANIFEST, "BTC is not the coin of litecoin_regtest"),
    Forgery(6, "finality 0", _resealed_with("rules", "finality", "bitcoin", to=0), REFUSED, "rules.finality"),
    Forgery(6, "payout unit 0", _resealed_with("rules", "payout_unit", "BTC", to=0), REFUSED, "rules.payout_unit"),
    Forgery(6, "a header without a number", lambda bundle: resealed(bundle, lambda manifest: manifest["header"].pop("bin") and None), MANIFEST, "the form's header lacks bin"),
    Forgery(6, "no positions", _resealed_with("positions", to={}), MANIFEST, "the manifest names no position in the log"),
    Forgery(6, "no version of a writer", lambda bundle: resealed(bundle, lambda manifest: manifest["software"].pop("reportlab") and None), DOCUMENTS, "names no version of reportlab"),
    Forgery(6, "nodes that nobody asked for", _resealed_with("witnesses", to={}), MANIFEST, "section witnesses does not go with the rules in force"),
    Forgery(6, "a payer of no chain", lambda bundle: resealed(bundle, lambda manifest: manifest["rules"].update(payers={"shop": {"way": "on-chain"}})), MANIFEST, "the payer shop pays on chain, and the rules name no chain of it"),
    Forgery(6, "nobody's freeze", _resealed_with("frozen_by", to=" "), MANIFEST, "nobody's name stands behind the freeze"),
    Forgery(6, "a version without a reason", lambda bundle: resealed(bundle, _version_without_reason), MANIFEST, "gives no reason (rule 8.3)"),
    Forgery(6, "debts of another month", lambda bundle: resealed(bundle, _debts_of_another_month), DEBTS, "which is not the month before"),
    Forgery(6, "debts of no month", lambda bundle: resealed(bundle, _debts_of_a_month_never_reported), DEBTS, "no month was reported before"),
    Forgery(6, "the month before is another", _beside(_nothing, _of_another_digest), MANIFEST, "previous_digest is not the digest of 2026-09"),
    Forgery(6, "the month before is named by its debts alone", _beside(_nothing, _of_another_digest), DEBTS, "is not the one that this month names"),
    Forgery(6, "the month before closes otherwise", _beside(_nothing, _of_other_debts), DEBTS, "closes with other debts"),
    Forgery(6, "the month before closes with another line", _beside(_nothing, _of_another_line), DEBTS, "closes with another line"),
    Forgery(6, "the month before in a version that is not there", _beside(_nothing, _of_no_version_there), MANIFEST, "is not how the bundle that previous_digest names closes"),
    Forgery(6, "the month before without its debts", _beside(_nothing, _of_no_debts), MANIFEST, "the debts name no month before"),
    Forgery(6, "finality below its floor", _of_rules(_low_parameters), MANIFEST, "bitcoin is final after 1 confirmations"),
    Forgery(6, "payouts rounded to a coin", _of_rules(_low_parameters), MANIFEST, "payouts in BTC are rounded to 100000000"),
    Forgery(6, "issues emptied", _issues_emptied, MANIFEST, "issues.csv comes out different"),
    Forgery(6, "rows of no transaction that is proved", _tied_to_nothing, PROOFS, "has no proof"),
    Forgery(6, "a row invented", _invented_row, RECOMPUTED, "report.csv comes out different"),
    Forgery(6, "a row left out", _left_out_row, RECOMPUTED, "rows.csv comes out different"),
    Forgery(6, "other totals", _resealed_with("totals", "distinct_transfers_count", to=3), RECOMPUTED, "the totals come out different"),
    Forgery(6, "rows without a transaction", _untied_rows, TRANSFERS, "shows a transfer without naming its transaction"),
    Forgery(6, "a row of another transaction", _tied_elsewhere, TRANSFERS, "row "),
    Forgery(6, "ties of other rows", _fewer_ties, TRANSFERS, "does not have the report's rows"),
    Forgery(6, "another transfer's sum", _cell_of_report("transfer_amount", "9.99999999"), TRANSFERS, "the row says 9.99999999"),
    Forgery(6, "another transfer's day", _cell_of_report("transfer_date", "2026-10-30"), TRANSFERS, "the row says 2026-10-30"),
    Forgery(6, "another wallet", _cell_of_report("wallet", "bcrt1qforged"), TRANSFERS, "nothing proves a payment to its wallet"),
    Forgery(6, "debts emptied", _another_debt, DEBTS, "debts.csv comes out different from the facts"),
    Forgery(6, "debts of other sums", _allocated_otherwise, DEBTS, "the report's rows give other sums allocated"),
    *(Forgery(6, _words(forge), forge, DEBTS, named) for forge, named in test_opening_line.LINES),
    Forgery(6, "another root of the rows", _another_root("root", "ab" * 32), RECEIPTS, "the manifest says otherwise"),
    Forgery(6, "another number of rows under the root", _another_root("leaves", 3), RECEIPTS, "the manifest says otherwise"),
    Forgery(6, "no root of the rows", lambda bundle: resealed(bundle, lambda manifest: manifest.pop("receipts") and None), RECEIPTS, "the manifest says otherwise"),
    Forgery(6, "another digest", _another_digest, "report digest", "the manifest says"),
    # 7
    *(Forgery(7, _words(forge), lambda bundle, forge=forge: (forge(bundle), resealed(bundle)), DOCUMENTS, named) for forge, named in test_manifest.DOCUMENTS),  # type: ignore[misc]
    Forgery(7, "numbers shown otherwise", _workbook("xl/styles.xml", lambda x: x.replace(b'formatCode="', b'formatCode="9')), DOCUMENTS, "report.xlsx says"),
    Forgery(7, "white on white", _workbook("xl/styles.xml", lambda x: x.replace(b"<color theme=\"1\"/>", b'<color rgb="FFFFFFFF"/>')), DOCUMENTS, "report.xlsx says"),
    Forgery(7, "a hidden sheet", _workbook("xl/workbook.xml", lambda x: x.replace(b'sheetId="2"', b'sheetId="2" state="hidden"')), DOCUMENTS, "report.xlsx says"),
    Forgery(7, "a hidden row", _workbook("xl/worksheets/sheet1.xml", lambda x: x.replace(b'<row r="40"', b'<row r="40" hidden="1"')), DOCUMENTS, "report.xlsx says"),
    Forgery(7, "another footer", _workbook("xl/worksheets/sheet1.xml", lambda x: x.replace(b"<oddFooter>", b"<oddFooter>&amp;LPAID")), DOCUMENTS, "report.xlsx says"),
    Forgery(7, "a document type", _workbook("xl/workbook.xml", lambda x: x.replace(b"<workbook", b"<!DOCTYPE a><workbook", 1)), DOCUMENTS, "has a document type"),
    Forgery(7, "no workbook", _no_workbook, DOCUMENTS, "can't be read: BadZipFile"),
    Forgery(7, "a workbook that unpacks to too much", _workbook_bomb, DOCUMENTS, "unpacks to more than it may"),
    Forgery(7, "a document in no language", _document_of_another, DOCUMENTS, "report.zz.pdf is no document of this version"),
    Forgery(7, "an older PDF of other words", _older_pdf, DOCUMENTS, "report.pdf says something else than report.csv"),
    Forgery(7, "older JSON", _older_json, DOCUMENTS, "report.json says something else"),
    # 9
    *(Forgery(9, _words(forge), forge, FILES if "not in the manifest" in named or "no file of a bundle" in named else REFUSED, named)
      for forge, named in test_shapes.SHAPES if forge.__name__ != "folder_beside"),
    Forgery(9, "folder beside", test_shapes.folder_beside, FILES, "a folder that no bundle has"),
    Forgery(9, "a file changed", _changed, FILES, "transfers.csv was changed"),
    Forgery(9, "a file that the manifest does not name", _unnamed, FILES, "debts.csv is missing from the manifest"),
    Forgery(9, "a file missing", _missing, FILES, "transfers.csv is missing"),
    Forgery(9, "a terabyte of database", _huge("month.duckdb"), REFUSED, "no such file of a bundle has more"),
    Forgery(9, "a terabyte of manifest", _huge("manifest.json"), REFUSED, "more than"),
    Forgery(9, "a name outside", lambda bundle: resealed(bundle, lambda manifest: manifest["files"].update({"../x": "ab" * 32})), REFUSED, "lies outside the bundle"),
    Forgery(9, "a key that stands twice", _key_twice, REFUSED, "stands in it twice"),
    Forgery(9, "a newer schema", _resealed_with("schema", to=99), REFUSED, "is newer than this program knows"),
    Forgery(9, "an edition beside its schema", _resealed_with("rules", "edition", to=1), REFUSED, "can't be of edition 1"),
    Forgery(9, "a chain without a network", lambda bundle: resealed(bundle, lambda manifest: manifest["rules"]["network"].clear()), REFUSED, "the rules name no network for bitcoin"),
    Forgery(9, "a proof that is too long", _long_proof, PROOFS, "bytes are more than a proof has"),
    Forgery(9, "many columns", _many_columns, FACTS, "are more than a frame may have"),
    Forgery(9, "a page of an unknown kind of field", _page_headers(lambda raw: b"\x1a" + raw[1:]), FACTS, "a field of a kind that none has"),
    Forgery(9, "a page without sizes", _page_headers(lambda raw: b"\x00" + raw[1:]), FACTS, "a page whose header says no sizes"),
    Forgery(9, "a page of no number of values", _page_headers(lambda raw: raw.replace(b"\x2c\x15", b"\x2c\x25", 1)), FACTS, "says no number of values"),
    Forgery(9, "a page whose header goes on", _page_headers(lambda raw: b"\x18\xff\xff\x03" + raw[4:]), FACTS, "ends too early"),
    Forgery(9, "a page that is longer than it says", _page_headers(_shorter_page), FACTS, "not a sound Parquet file"),
    Forgery(9, "a page of structs without end", _page_headers(lambda raw: b"\x1c" * len(raw)), FACTS, "nested too deeply"),
    Forgery(9, "a page of a number without end", _page_headers(lambda raw: b"\x15" + b"\xff" * (len(raw) - 1)), FACTS, "is too long"),
    Forgery(9, "a page of other values", _page_headers(_other_values), FACTS, "values, its footer says"),
    Forgery(9, "languages of no form", _resealed_with("languages", to=["xx"]), DOCUMENTS, "the manifest names the languages"),
    Forgery(9, "a fraction", _fraction, REFUSED, "1.0 is no number that it may have"),
    Forgery(9, "a key that nobody knows", _resealed_with("approved_by", to="the tax office"), REFUSED, "approved_by"),
    Forgery(9, "a column that no frame has", _another_column, FACTS, "which no frame of that name has"),
    Forgery(9, "no Parquet", _no_parquet, FACTS, "not a sound Parquet file"),
    Forgery(9, "many rows", lambda bundle: (test_shapes.many_rows(bundle / "evidence/facts/pool_wallets.parquet"), resealed(bundle)), FACTS, "may hold"),
    Forgery(9, "long texts", lambda bundle: (test_shapes.long_texts(bundle / "evidence/facts/pool_wallets.parquet"), resealed(bundle)), FACTS, "may hold"),
    Forgery(9, "whole numbers", _bomb(lambda: pa.repeat(7, 40_000_000)), FACTS, "may hold"),
    Forgery(9, "decimals", _bomb(lambda: pa.repeat(pa.scalar(Decimal(7), pa.decimal128(38, 0)), 6_000_000)), FACTS, "may hold"),
    Forgery(9, "wide decimals", _bomb(lambda: pa.repeat(pa.scalar(Decimal(7), pa.decimal256(76, 0)), 3_000_000)), FACTS, "may hold"),
    Forgery(9, "days", _bomb(lambda: pa.repeat(7, 20_000_000).cast(pa.int32()).cast(pa.date32())), FACTS, "may hold"),
    Forgery(9, "nothing at all", _bomb(lambda: pa.nulls(20_000_000, pa.int64())), FACTS, "may hold"),
    Forgery(9, "floating point", _bomb(lambda: pa.array([1.5])), FACTS, "types that no frame has"),
    Forgery(9, "bytes", _bomb(lambda: pa.array([b"x" * 100])), FACTS, "types that no frame has"),
    Forgery(9, "lists", _bomb(lambda: pa.array([[1, 2]])), FACTS, "types that no frame has"),
    Forgery(9, "records", _bomb(lambda: pa.array([{"a": 1}])), FACTS, "types that no frame has"),
    Forgery(9, "instants", _bomb(lambda: pa.array([1]).cast(pa.timestamp("us"))), FACTS, "types that no frame has"),
    Forgery(9, "a footer that lies", _lying_footer, FACTS, "may hold"),
)  # fmt: skip
"""Every one, in the order of their kinds."""
