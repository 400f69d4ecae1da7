"""Deliberate bugs, each a few characters in one file, with the tests that must notice: the suite's own test.

`old` stands exactly once in the file. A mutant that no longer applies fails the suite: the code moved, and its bug must move with it.
"""

from __future__ import annotations

from dataclasses import dataclass

MATCH = ("tests/unit/enrich/test_match_rules.py",)
OUTFLOWS = ("tests/unit/enrich/test_outflows.py",)
REGISTRY = ("tests/unit/enrich/test_registry_rules.py",)
SETTLEMENT = ("tests/unit/enrich/test_settlement_rules.py",)
INGEST = ("tests/integration/test_ingest.py",)
REORDERED = ("tests/properties/test_ingest.py",)
BYTES = ("tests/unit/closing/test_filing.py",)
MONTH = (*BYTES, "tests/unit/closing/test_life.py")
CALENDAR = ("tests/unit/closing/test_calendar.py",)
CONDITIONS = ("tests/unit/assess/test_conditions.py",)
CELLS = ("tests/unit/validate/test_cells.py",)
CHAIN = ("tests/simulation/test_bitcoin_reorganisations.py",)
MERKLE = ("tests/unit/chains/bitcoin/test_merkle.py",)
ANSWERS = ("tests/integration/test_filing_http.py",)
LEDGER = ("tests/unit/validate/test_restate.py",)
NETTING = ("tests/unit/connectors/evm/test_netting.py",)
TRACES = ("tests/unit/connectors/evm/test_traces.py",)
REWARDS = ("tests/unit/connectors/evm/test_rewards.py",)
ACCOUNTS = ("tests/simulation/test_evm_reorganisations.py",)
ACCOUNT_RULES = ("tests/unit/enrich/test_account_chains.py",)
MOVEMENTS = ("tests/unit/connectors/evm/test_movements.py",)
WAIVERS = ("tests/unit/assess/test_waivers.py",)
EDITIONS = ("tests/unit/enrich/test_editions.py",)
FREEZE = ("tests/integration/test_freeze_alone.py",)


@dataclass(frozen=True)
class Mutant:
    """A bug that is not there."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # Time (rules 1, 7, 8)
    Mutant("days in UTC", "pipeline/enrich/identify.py", 'ALMATY = "Asia/Almaty"', 'ALMATY = "UTC"', SETTLEMENT),
    Mutant("months in UTC", "pipeline/model/months.py", 'ZoneInfo("Asia/Almaty")', 'ZoneInfo("UTC")', CALENDAR),
    Mutant("the month ends a day early", "pipeline/model/months.py", "calendar.monthrange(self.year, self.number)[1])", "calendar.monthrange(self.year, self.number)[1] - 1)", CONDITIONS),
    Mutant("due on the 26th", "pipeline/model/months.py", "replace(day=25)", "replace(day=26)", CALENDAR),
    Mutant("the hold passes the 24th", "pipeline/closing/calendar.py", "min(wished, _latest(month, plan))", "wished", CALENDAR),
    Mutant("finality off by one", "pipeline/assess/conditions.py", "confirmations >= finality", "confirmations > finality", CONDITIONS),
    Mutant("the last block confirms nothing", "pipeline/assess/conditions.py", 'confirmations = tip["height"] - height + 1', 'confirmations = tip["height"] - height', CONDITIONS),
    Mutant("a block still fits into the month", "pipeline/assess/conditions.py", 'is_past = tip["mediantime"] >= month.end_at', 'is_past = tip["mediantime"] >= month.end_at - 1', CONDITIONS),
    Mutant("a ledger a day short is complete", "pipeline/assess/conditions.py", "complete_through >= month.last", "complete_through.month >= month.last.month", CONDITIONS),
    Mutant("a waiver waives its whole code", "pipeline/assess/waivers.py", 'numbered.join(early, on=["code", "ref"]),', 'numbered.join(early, on="code").drop("ref_right"),', WAIVERS),
    Mutant("a waiver never lapses", "pipeline/assess/waivers.py", 'left_on=["code", "ref", "facts"], right_on=["code", "ref", "given_on"]', 'on=["code", "ref"]', WAIVERS),
    Mutant("an early waiver of an account means nothing now", "pipeline/assess/waivers.py", 'numbered.join(early, left_on=["code", "ref_before"], right_on=["code", "ref"]),', "", WAIVERS),
    # Money (rules 2, 3)
    Mutant("amounts through a float", "pipeline/model/amounts.py", 'units = int(whole + fraction[:decimals].ljust(decimals, "0"))', "units = int(float(text) * 10**decimals)", ("tests/mutation/test_money.py",)),
    Mutant("a leading zero of an amount is lost", "pipeline/model/amounts.py", 'rjust(decimals + 1, "0")', 'rjust(decimals, "0")', ("tests/mutation/test_money.py",)),
    Mutant("the fee's remainder goes to nobody", "pipeline/enrich/balance.py", "[floors[0] + fee - sum(floors), *floors[1:]]", "floors", OUTFLOWS),
    Mutant("change is counted among the payouts", "pipeline/enrich/classify.py", '.then(pl.lit("change"))', '.then(pl.lit("payout"))', OUTFLOWS),
    Mutant("any OP_RETURN is data", "pipeline/enrich/classify.py", '(pl.col("value") == 0) & pl.col("is_unspendable")', 'pl.col("is_unspendable")', OUTFLOWS),
    Mutant("balances by date, not by height", "pipeline/enrich/balance.py", '.group_by("chain").agg(pl.col("height").max())', '.group_by("chain").agg(pl.col("height").sort_by("time").last())', ("tests/properties/test_rules_differential.py",)),
    # The registry (rule 4)
    Mutant("what was settled before the month is settled again", "pipeline/enrich/ranges.py", '.with_columns(amount="left")', '.with_columns(amount="amount")', SETTLEMENT),
    Mutant("valid_to counts as a day", "pipeline/enrich/identify.py", '(pl.col(day) < pl.col(valid_to))', '(pl.col(day) <= pl.col(valid_to))', REGISTRY),
    Mutant("the last day of a suspension counts twice", "pipeline/enrich/identify.py", '(pl.col(day) < pl.col("suspended_to"))', '(pl.col(day) <= pl.col("suspended_to"))', REGISTRY),
    Mutant("the oldest licence is shown", "pipeline/enrich/identify.py", "descending=[False, False, True, True, True]", "descending=[False, False, True, False, True]", REGISTRY),
    Mutant("one row of weights for a control digit", "pipeline/model/miner_id.py", "_SECOND = (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)", "_SECOND = _FIRST", ("tests/mutation/test_money.py",)),
    # What edition 2 says anew (rules 4.6, 6.4, 8.4, 9.2, 9.8)
    Mutant("credits of nothing are told twice", "pipeline/enrich/check.py", 'near = allocations.filter(is_near & (pl.col("amount") > 0))', "near = allocations.filter(is_near)", EDITIONS),
    Mutant("the greatest id names the group", "pipeline/enrich/check.py", "ref=ids.first(),", "ref=ids.last(),", EDITIONS),
    Mutant("midnight belongs to the day that begins", "pipeline/enrich/month.py", 'is_midnight("owed_at") & pl.lit(rules.edition > 1)', "pl.lit(False)", EDITIONS),
    Mutant("the first edition knows midnight", "pipeline/enrich/month.py", 'is_midnight("owed_at") & pl.lit(rules.edition > 1)', 'is_midnight("owed_at")', EDITIONS),
    Mutant("an opening's holder by its allocation date", "pipeline/enrich/month.py", 'keys=["account"], day="day", name="miner_id"', 'keys=["account"], day="allocation_date", name="miner_id"', EDITIONS),
    Mutant("an opening's licence by its allocation date", "pipeline/enrich/report.py", 'with_licence(rows, self.licences, day="licence_date")', 'with_licence(rows.with_columns(licence_date="allocation_date"), self.licences, day="licence_date")', EDITIONS),
    Mutant("holders differ on the day of paid_at", "pipeline/enrich/check.py", "if rules.edition == 1:\n        found = _with_transfers(", "if True:\n        found = _with_transfers(", EDITIONS),
    Mutant("all passings of an account are one", "pipeline/enrich/check_registry.py", 'ref=pl.concat_str("account", day_text("passed_on"), separator=":")', 'ref=pl.col("account")', EDITIONS),
    Mutant("things of one ref are not told apart", "pipeline/enrich/issue_rows.py", '(pl.len().over("code", "ref") > 1)', "pl.lit(False)", EDITIONS),
    Mutant("no edition is the newest", "pipeline/model/rules.py", 'content.get("edition", 1)', 'content.get("edition", NEWEST_EDITION)', EDITIONS),
    # Matching (rule 5)
    Mutant("a difference of a whole unit is rounding", "pipeline/enrich/match.py", '(pl.col("difference").abs() < pl.col("unit"))', '(pl.col("difference").abs() <= pl.col("unit"))', MATCH),
    Mutant("seven days without their ends", "pipeline/enrich/match.py", '- group["paid_at"]) <= WINDOW_US', '- group["paid_at"]) < WINDOW_US', MATCH),
    Mutant("a negative share of a fee", "pipeline/enrich/match.py", '& (pl.col("difference").min().over(transaction) >= 0)', "", MATCH),
    Mutant("the excess of a transfer is lost", "pipeline/enrich/match.py", '.when(is_last).then(left)', '.when(is_last).then(pl.min_horizontal("paid", left))', MATCH),
    Mutant("payments after the tip are judged", "pipeline/enrich/match.py", '<= pl.col("tip_at") * 1_000_000)', '<= pl.col("tip_at") * 9_000_000)', MATCH),
    # Settlement (rules 6, 7)
    Mutant("settled twice", "pipeline/enrich/settle.py", '.with_columns(amount=pl.col("end") - start)', '.with_columns(amount=pl.col("end"))', SETTLEMENT),
    Mutant("last in, first out", "pipeline/enrich/ranges.py", 'own = sort_by_number_then_text(own, pl.col("allocated_at"), "allocation_id")', 'own = sort_by_number_then_text(own, -pl.col("allocated_at"), "allocation_id")', SETTLEMENT),
    Mutant("commission on every row", "pipeline/enrich/report.py", 'is_charged = pl.col("is_of_month") & pl.col("is_first")', 'is_charged = pl.col("is_of_month")', SETTLEMENT),
    Mutant("allocations of nothing have no row", "pipeline/enrich/report.py", '| (pl.col("amount") == 0))', ")", SETTLEMENT),
    Mutant("a credit just before the opening settles", "pipeline/enrich/month.py", 'pl.col("instant") >= starts_at', 'pl.col("instant") + 1_000_000 >= starts_at', SETTLEMENT),
    # The log and the store (laws 2, 4, 8)
    Mutant("a disconnect is missed", "pipeline/store/chain.py", "self._blocks[key] = block._replace(is_main=False)", "self._blocks[key] = block", INGEST),
    Mutant("a block that returns is doubled", "pipeline/store/chain.py", "            for statement in _FORGET:\n                connection.execute(statement)", "            pass", INGEST),
    Mutant("a gap in a chain is read over", "pipeline/store/chain.py", "if event.seq != expected:", "if event.seq < expected:", INGEST),
    Mutant("positions are lost", "pipeline/store/ingest.py", '{"places": sorted(after), "offsets": [after[place] for place in sorted(after)]}', '{"places": [""], "offsets": [0]}', INGEST),
    Mutant("duplicates are not told", "pipeline/store/ingest.py", "            if name not in known:", "            if True:", INGEST),
    Mutant("restatements are not looked for", "pipeline/validate/restate.py", "joined.filter(is_new | differs)", "joined.filter(is_new)", LEDGER),
    Mutant("the first version counts", "pipeline/store/views.sql", "newer.allocation_id = a.allocation_id AND newer.version > a.version", "newer.allocation_id = a.allocation_id AND newer.version < a.version", REORDERED),
    Mutant("half a registry counts", "pipeline/store/views.sql", "HAVING count(*) = any_value(parts)", "HAVING count(*) <= any_value(parts)", ("tests/unit/store/test_views.py", "tests/integration/test_store.py", "tests/properties/test_ingest.py")),
    # The chain (connector)
    Mutant("a disconnect too few", "pipeline/follow/build_events.py", "range(state.height, down_to, -1)", "range(state.height, down_to + 1, -1)", CHAIN),
    Mutant("a median of ten", "connectors/bitcoin/build_events.py", "times[-10:]", "times[-9:]", CHAIN),
    Mutant("the repeated leaf goes unseen", "pipeline/chains/bitcoin/merkle.py", "if neighbour == node:", "if False:", MERKLE),
    # Account chains (ADR 7)
    Mutant("a failed transaction moves its value", "connectors/evm/movements.py", "    if failed:\n        return []\n", "", MOVEMENTS),
    Mutant("logs are counted by transaction", "connectors/evm/movements.py", "index = first_log + place", "index = place", MOVEMENTS),
    Mutant("what a contract passes on counts as its own", "connectors/evm/netting.py", "gains[(m.asset, m.sender)] -= m.value", "gains[(m.asset, m.sender)] -= 0", NETTING),
    Mutant("calls that were undone count", "connectors/evm/traces.py", "        if node.is_failed:\n            continue\n", "", TRACES),
    Mutant("gas at the price allowed", "connectors/evm/checked_block.py", "price = number(answer, \"effectiveGasPrice\") if answer.get(\"effectiveGasPrice\") is not None else number(transaction, \"gasPrice\")", "price = number(transaction, \"maxFeePerGas\") if transaction.get(\"maxFeePerGas\") is not None else number(transaction, \"gasPrice\")", ACCOUNTS),
    Mutant("a wallet's fee is nobody's", "connectors/evm/netting.py", "if fee_payer is not None and fee:", "if False:", NETTING),
    Mutant("an uncle a block nearer", "pipeline/chains/rewards.py", "uncle_height + rules.distance - height", "uncle_height + rules.distance + 1 - height", ("tests/unit/chains/test_rewards.py",)),
    Mutant("a changed answer goes unseen", "connectors/evm/recheck.py", "if not is_same(state.touched[height], block_hash, watching, node, reader):", "if False:", ACCOUNTS),
    Mutant("a month's end is passed unobserved", "connectors/evm/build_events.py", "if month is not None and now != month and end is not None:", "if False:", ACCOUNTS),
    Mutant("a balance that nobody told proves itself", "pipeline/enrich/balance.py", 'fault=pl.when(pl.col("opening").is_null())', 'fault=pl.when(pl.lit(False))', ACCOUNT_RULES),
    # Closing (ADR 5)
    Mutant("what a freeze had built is made again", "pipeline/freeze/freeze.py", "or digest_of(manifest) != event.manifest_digest", "or True", FREEZE),
    Mutant("an unknown outcome is sent again", "pipeline/closing/submission.py", 'return answer.asked == "send" and answer.outcome == "unreachable"', 'return answer.asked == "send" and answer.outcome in ("unreachable", "unknown")', MONTH),
    Mutant("a new id every time", "pipeline/closing/filing.py", 'return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn', 'return str(uuid.uuid4()) or str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn', MONTH),
    Mutant("signed over other bytes", "pipeline/closing/advance.py", "signature = self._signer.sign(files, now=now)", "signature = self._signer.sign({name: made.strip() + b' ' for name, made in files.items()}, now=now)", MONTH),
    Mutant("months are frozen in any order", "pipeline/closing/advance.py", "is_gap = is_gap or not status.life.frozen", "is_gap = False", MONTH),
    Mutant("a step taken by another is taken again", "pipeline/closing/diary.py", "        if not is_new:\n            raise StepAlreadyTaken(event.id)", "", MONTH),
    Mutant("an approval counts for any report", "pipeline/closing/life.py", "if frozen is not None and frozen.digest == event.digest:", "if frozen is not None:", MONTH),
    Mutant("accepted without a receipt", "pipeline/closing/filing.py", 'if receipt or not how.has_receipts', 'if True', ANSWERS),
)  # fmt: skip
