"""What leaves the pool, and the proof that nothing else did: rules 3 and 9.5.

Enters: a `Case`. Leaves: `Outcome.outflows`, `Outcome.balances`, their issues, and every classed output of the chain
for matching. It leaves out whose an outflow is.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month, almaty_date

from .accounts import observed, token_ref
from .registry import Case, Row


def classify(case: Case) -> list[Row]:
    """Rules 3, 3.1 to 3.3, 3.5: a class for every output of the pool's transactions, and a row for each fee."""
    every: list[Row] = []
    for transaction in case.facts["transactions"]:
        place = (transaction["chain"], transaction["block_hash"], transaction["txid"])
        block = case.blocks[place[:2]]
        day = almaty_date(block["time"])
        inputs, outputs = case.inputs.get(place, []), case.outputs.get(place, [])
        pays_pool = any(output["wallet"] is not None for output in outputs)
        if not (pays_pool if transaction["is_coinbase"] else inputs):
            continue  # 3.1: a coinbase that pays no pool wallet is not ours; 3.3: nor what strangers pay
        if transaction["other_inputs"] and not transaction["is_coinbase"]:
            case.issue(IssueCode.MIXED_INPUTS, transaction["txid"], day, of=f"chain {place[0]}")  # 3.2
        base = {"chain": place[0], "txid": place[2], "block_height": block["height"], "date": day}
        if not transaction["is_coinbase"]:
            every.append(
                base | {"vout": -1, "address": None, "asset": transaction["fee_asset"], "amount": transaction["fee"], "class": "fee",
                        "transaction": transaction, "block": block}
            )  # fmt: skip
        for output in outputs:
            kind = outflow_class(case, output, outputs, transaction, day)
            if kind == "unknown":
                case.issue(IssueCode.UNKNOWN_OUTFLOW, f"{place[2]}:{output['vout']}", day, of=f"chain {place[0]}")  # 3.5
            every.append(
                base | {"vout": output["vout"], "address": output["address"], "asset": output["asset"], "amount": output["value"],
                        "class": kind, "transaction": transaction, "block": block}
            )  # fmt: skip
    every.sort(key=lambda row: (row["chain"], row["block_height"], row["txid"], row["vout"]))
    columns = ("chain", "txid", "vout", "address", "asset", "amount", "class", "block_height", "date")
    case.out.outflows = [
        {name: row[name] for name in columns} for row in every if case.month.first <= row["date"] <= case.month.last
    ]  # fmt: skip
    return every


def outflow_class(case: Case, output: Row, outputs: list[Row], transaction: Row, day: date) -> str:
    """The table of rule 3, from the top: the first that matches wins."""
    if is_data(output):
        return "data"
    if output["wallet"] is not None:
        if transaction["is_coinbase"]:
            return "reward"  # 3.1
        strangers = [other for other in outputs if other["wallet"] is None and not is_data(other)]
        return "change" if strangers else "internal"  # 9.1: beside OP_RETURN only, `internal`
    chain, address = output["chain"], output["address"]
    if address is not None:
        # 9.1: registered is present in `miners` and holding the address on that chain.
        if case.wallet_holder(chain, address, day) in case.miners:
            return "payout"
        if (chain, output["txid"], address) in case.named:
            return "payout"
        if (chain, address) in case.labels:
            return str(case.labels[chain, address])
    return "unknown"


# --- rule 3.4: the proof by balance ----------------------------------------------------------------------------


def last_height(case: Case, chain: str, month: Month) -> int:
    """Height of the month's last block: the highest of the main chain dated in the month or before it; -1 for none."""
    heights = [b["height"] for b in case.facts["blocks"] if b["chain"] == chain and almaty_date(b["time"]) <= month.last]
    return max(heights, default=-1)


def write_balances(case: Case) -> None:  # noqa: C901, PLR0912 - rule 3.4 read from top to bottom, to be compared with its text
    """Rule 3.4 for each wallet and asset, by height; fees of mixed inputs are shared (rule 9.5)."""
    before = {chain: last_height(case, chain, case.month.previous) for chain in {b["chain"] for b in case.facts["blocks"]}}
    after = {chain: last_height(case, chain, case.month) for chain in before}
    spent_at: dict[tuple[str, str, int, str], int] = {}
    sums: dict[tuple[str, str], Row] = {}

    def line(wallet: str, asset: str) -> Row:
        zeros = dict.fromkeys(("opening", "in", "out", "fee", "closing", "unspent"), 0)
        return sums.setdefault((wallet, asset), {"wallet": wallet, "asset": asset, **zeros})

    def height(row: Row) -> int:
        return int(case.blocks[row["chain"], row["block_hash"]]["height"])

    for watched in case.facts["pool_wallets"]:  # a wallet never used balances too: at nothing
        for asset in case.rules.assets.values():
            if asset.chain == watched["chain"]:
                line(watched["wallet"], asset.name)
    for spend in case.facts["inputs"]:
        spent_at[spend["chain"], spend["spent_txid"], spend["spent_vout"], spend["asset"]] = height(spend)
        if before[spend["chain"]] < height(spend) <= after[spend["chain"]]:
            line(spend["wallet"], spend["asset"])["out"] += spend["value"]
    for output in case.facts["outputs"]:
        chain, born = output["chain"], height(output)
        if output["wallet"] is None or born > after[chain]:
            continue
        entry = line(output["wallet"], output["asset"])
        gone = spent_at.get((chain, output["txid"], output["vout"], output["asset"]))
        if born > before[chain]:
            entry["in"] += output["value"]
        elif gone is None or gone > before[chain]:
            entry["opening"] += output["value"]
        if gone is None or gone > after[chain]:
            entry["unspent"] += output["value"]
    for transaction in case.facts["transactions"]:
        if before[transaction["chain"]] < height(transaction) <= after[transaction["chain"]]:
            for wallet, share in fee_shares(case, transaction).items():
                entry = line(wallet, transaction["fee_asset"])
                entry["fee"] += share
                entry["out"] -= share
    for key, entry in list(sums.items()):
        is_fault = False
        if any(row["chain"] == case.chain_of(entry["asset"]) for row in case.facts.get("observations", [])):
            told = observe(case, entry, before, after)
            if told is None:
                del sums[key]
                continue
            is_fault = told
        if entry["opening"] is None:
            entry["closing"] = None
        else:
            entry["closing"] = entry["opening"] + entry["in"] - entry["out"] - entry["fee"]
            is_fault |= entry["unspent"] is not None and entry["closing"] != entry["unspent"]
        if is_fault:
            of = f"chain {case.chain_of(entry['asset'])}"
            case.issue(IssueCode.WALLET_DOES_NOT_BALANCE, token_ref(case, entry["wallet"], entry["asset"]), of=of)
    case.out.balances = [sums[key] for key in sorted(sums)]


def observe(case: Case, entry: Row, before: dict[str, int], after: dict[str, int]) -> bool | None:
    """Opening and closing of a chain whose balances are observed (ADR 7); whether one that must be known is not.

    None: the asset was not observed yet when the month began, is not there after it and did not move, so there is nothing to prove.
    """
    chain = case.chain_of(entry["asset"])
    blocks = [block for block in case.facts["blocks"] if block["chain"] == chain]
    start = before[chain] if before[chain] >= 0 else min(block["height"] for block in blocks) - 1
    is_begun, entry["opening"] = observed(case, chain, entry["wallet"], entry["asset"], start)
    told = [row["wallet"] for row in case.facts["observations"] if (row["chain"], row["height"]) == (chain, start)]
    if told and entry["wallet"] not in told:
        entry["opening"] = 0  # it is watched since later, and was found to have held nothing before
    _, entry["unspent"] = observed(case, chain, entry["wallet"], entry["asset"], after[chain])
    if not is_begun and not entry["in"] and not entry["out"] + entry["fee"] and not entry["unspent"]:
        return None
    is_over = max(block["mediantime"] for block in blocks) >= case.month.end_at
    return entry["opening"] is None or (entry["unspent"] is None and is_over)


def fee_shares(case: Case, transaction: Row) -> dict[str, int]:
    """Rule 9.5: the fee over the inputs' values, a wallet a party, strangers one party, the remainder to the largest."""
    place = (transaction["chain"], transaction["block_hash"], transaction["txid"])
    if transaction.get("fee_wallet") is not None:
        return {transaction["fee_wallet"]: transaction["fee"]}  # ADR 7: who sent it bears it whole
    parties: dict[str | None, int] = defaultdict(int)
    for spend in case.inputs.get(place, []):
        if spend["asset"] == transaction["fee_asset"]:
            parties[spend["wallet"]] += spend["value"]
    total_ours = sum(parties.values())
    if transaction["is_coinbase"] or not total_ours:
        return {}
    if transaction["other_inputs"]:
        parties[None] = transaction["other_inputs_value"]
    total = sum(parties.values())
    shares = {party: transaction["fee"] * value // total for party, value in parties.items()}
    largest = min(parties, key=lambda party: (-parties[party], party is None, party or ""))
    shares[largest] += transaction["fee"] - sum(shares.values())
    return {party: share for party, share in shares.items() if party is not None}


def is_data(output: Row) -> bool:
    """Rule 3's first class: value 0 with a script that nobody can ever spend."""
    return bool(output["value"] == 0 and output["is_unspendable"])
