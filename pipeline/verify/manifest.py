"""The manifest says what comes out of the facts, and the month could close (rule 8.1): everything in it that can be computed is computed anew.

Enters: a bundle. Leaves: faults, what was seen, and what only the signer knows: the ledger, the registry, the pool's wallets, the people's decisions.
Blocking issues are judged against the waivers that the manifest names. The month before is looked at where its bundle lies beside this one.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import polars as pl

from pipeline.assess.conditions import closing_conditions
from pipeline.assess.manifest import describe_month
from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.work import finality_fault, payout_unit_fault
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.networks import OURS, AnyNetwork
from pipeline.enrich.frames import ISSUES
from pipeline.log.events.months import Waived
from pipeline.model.errors import VerifyError
from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import counted, joined, message
from pipeline.model.months import Month
from pipeline.render.canonical import table_csv

from .finding import Finding
from .grounds import describe_grounds
from .omissions import older_edition, omission_faults, omission_words
from .opened import OpenBundle
from .shapes import read_manifest

ISSUES_CSV = "issues.csv"
_THROUGH = re.compile(r"declared complete through (\d{4}-\d{2}-\d{2})\b")
SHOWN_NAMES = 5
_OF_THE_LOG = [IssueCode.UNREADABLE_EVENT.value, IssueCode.EVENT_NOT_AUTHENTIC.value]
"""Issues of the log's events: they are in no facts, and only block."""


def check_manifest(bundle: OpenBundle) -> Finding:
    """Rows, totals, due date, chains, issues, conditions, parameters, and the month before."""
    manifest, month = bundle.manifest, Month.parse(bundle.manifest["month"])
    issues, unreadable = _issues(bundle)
    described = describe_month(bundle.enriched, bundle.facts, month, bundle.rules, _internal_calls(bundle), authorizations_from(bundle))
    described["issues"] = dict(issues.group_by("code").len().sort("code").iter_rows())
    if "rests_on" in manifest:
        described["rests_on"] = describe_grounds(bundle.enriched.reported.settled_by(), bundle.evidence.proofs, bundle.rules)
    faults = [
        message("the manifest's {name} comes out different from the facts", name=name)
        for name, value in described.items()
        if manifest.get(name) != value
    ]
    if ("witnesses" in manifest) != bool(bundle.rules.witnesses):
        faults.append(message("the manifest's section witnesses does not go with the rules in force"))
    printed = table_csv(issues.select(list(ISSUES)))
    if (bundle.folder / ISSUES_CSV).read_bytes() != printed:
        faults.append(message("{issues_csv} comes out different", issues_csv=ISSUES_CSV))
    faults += _condition_faults(bundle, issues, month)
    faults += _parameter_faults(bundle)
    faults += _asset_faults(bundle)
    faults += omission_faults(bundle)
    if not manifest["frozen_by"].strip():
        faults.append(message("nobody's name stands behind the freeze (frozen_by)"))
    if manifest["version"] > 1 and not manifest["reason"].strip():
        faults.append(message("version {version} gives no reason (rule 8.3)", version=manifest["version"]))
    before, words = _month_before(bundle, month)
    waived = sorted({waiver["by"] for waiver in manifest["waivers"]})
    if manifest["waivers"]:
        who = ", ".join(waived[:SHOWN_NAMES]) + (message(" and others") if len(waived) > SHOWN_NAMES else "")
        words.append(counted("{count} waiver, by {who}", "{count} waivers, by {who}", len(manifest["waivers"]), who=who))
    if named := manifest.get("documents", []):
        words.append(message("{count} document(s), named by their digests (SHA-256): ask the pool for them", count=len(named)))
    if unreadable:
        words.append(message("{unreadable} events of the log that could not be read", unreadable=unreadable))
    seen = message("rows, totals, due date, chains, issues and conditions come out the same; every blocking issue is waived by name")
    return Finding(faults + before, seen, on_word=tuple(_words(bundle) + omission_words(bundle) + words), undecided=older_edition(bundle))


def _internal_calls(bundle: OpenBundle) -> dict[str, str]:
    """How calls were seen on account chains: the node's own words, which are in no facts."""
    return {
        chain: state["internal_calls"]
        for chain, state in bundle.manifest["chains"].items()
        if "internal_calls" in state and isinstance(bundle.networks.get(chain), AccountNetwork)
    }


def authorizations_from(bundle: OpenBundle) -> dict[str, int]:
    """From which block on an account chain's follower told authorizations of code, as the manifest says; absent where it did not, as in older bundles.

    Whoever says it speaks against himself: a number that nothing in the bundle uses is a fault from there on.
    """
    return {
        chain: int(state["authorizations_from"])
        for chain, state in bundle.manifest["chains"].items()
        if "authorizations_from" in state and isinstance(bundle.networks.get(chain), AccountNetwork)
    }


def _issues(bundle: OpenBundle) -> tuple[pl.DataFrame, int]:
    """The issues, computed anew, with the unreadable events that the bundle names (law 8): these are in no facts, and only block."""
    told = pl.read_csv(bundle.folder / ISSUES_CSV, infer_schema=False).filter(pl.col("code").is_in(_OF_THE_LOG))
    computed = bundle.enriched.issues
    if told.is_empty():
        return computed, 0
    rows = [(row["code"], Severity.BLOCKING.value, row["ref"], row["detail"], row["detail"], None) for row in told.to_dicts()]
    return pl.concat([computed, pl.DataFrame(rows, schema=computed.schema, orient="row")]).sort("code", "ref"), told.height


def _condition_faults(bundle: OpenBundle, issues: pl.DataFrame, month: Month) -> list[str]:
    """Rule 8.1, computed anew; the ledger's word and the registry's presence are taken from the manifest."""
    stated = {condition["name"]: condition for condition in bundle.manifest["conditions"]}
    waivers = [
        Waived(id=f"manifest:{n}", month=str(month), code=w["code"], ref=w["ref"], by=w["by"], reason=w["reason"], at=w["at"], facts=w.get("facts"))
        for n, w in enumerate(bundle.manifest["waivers"])
    ]  # fmt: skip
    faults = [
        message("the waiver of {code} {ref} gives no reason or no name", code=w.code, ref=w.ref)
        for w in waivers
        if not w.reason.strip() or not w.by.strip()
    ]
    said = _THROUGH.search(stated.get(message("ledger complete"), {}).get("detail", ""))
    computed = closing_conditions(
        bundle.facts, issues, waivers, month, bundle.rules,
        complete_through=date.fromisoformat(said[1]) if said else None,
        has_registry=bool(stated.get(message("registry loaded"), {}).get("is_met")) and bundle.facts.miners.height > 0,
    )  # fmt: skip
    faults += [message("the month could not close: {name}: {detail}", name=c.name, detail=c.detail) for c in computed if not c.is_met]
    if [condition.for_manifest() for condition in computed] != bundle.manifest["conditions"]:
        faults.append(message("the manifest's conditions come out different"))
    return faults


def _parameter_faults(bundle: OpenBundle) -> list[str]:
    """Parameters in force against the networks' floors and ceilings."""
    faults = []
    for chain, confirmations in bundle.rules.finality.items():
        network = bundle.networks.get(chain)
        if not isinstance(network, Network):
            continue
        if fault := finality_fault(network, confirmations):
            faults.append(message("{chain} is {fault}", chain=chain, fault=fault))
        for asset in bundle.rules.assets.values():
            unit = bundle.rules.payout_unit.get(asset.name, 1)
            if asset.chain == chain and asset.contract is None and (fault := payout_unit_fault(network, unit)):
                faults.append(message("payouts in {name} are {fault}", name=asset.name, fault=fault))
    return faults


def _asset_faults(bundle: OpenBundle) -> list[str]:
    """A chain has one coin of its own, with the decimals that its network gives it; a coin's name is not another network's."""
    faults = []
    coins: dict[str, list[str]] = {}
    for asset in bundle.rules.assets.values():
        network = bundle.networks.get(asset.chain)
        if asset.contract is None:
            coins.setdefault(asset.chain, []).append(asset.name)
        elif isinstance(network, Network):
            faults.append(message("{name} is a token's contract on {chain}, which has none", name=asset.name, chain=asset.chain))
        if network is None or asset.contract is not None:
            continue
        if asset.decimals != network.decimals:
            faults.append(
                message(
                    "{name} has {decimals} decimals: the coin of {chain} has {decimals_2}",
                    name=asset.name,
                    decimals=asset.decimals,
                    chain=asset.chain,
                    decimals_2=network.decimals,
                )
            )
        if _is_anothers_coin(asset.name, network):
            faults.append(message("{name} is not the coin of {network}", name=asset.name, network=bundle.rules.network[asset.chain]))
    return faults + [
        message("the chain {chain} has the coins {names}: it can have one", chain=chain, names=", ".join(sorted(names)))
        for chain, names in sorted(coins.items())
        if len(names) > 1
    ]


def _is_anothers_coin(name: str, network: AnyNetwork) -> bool:
    """Whether the name belongs to the coin of another network, of which this one is no test network."""
    owner = next((known for known in map(OURS.of, OURS.names) if known.coin == name), None)
    own = network.facts.test_of or network.name
    if owner is None or owner.name == own:
        return False
    is_of_other_family = isinstance(network, AccountNetwork) != isinstance(owner, AccountNetwork)
    return bool(network.coin or network.facts.test_of) or is_of_other_family


def _month_before(bundle: OpenBundle, month: Month) -> tuple[list[str], list[str]]:
    """The digest of the month before, against its bundles where they lie beside this one."""
    previous, said = str(month.previous), bundle.manifest["previous_digest"]
    beside: list[dict[str, Any]] = []
    for path in sorted((bundle.folder.resolve().parent.parent / previous).glob("v*")):
        if re.fullmatch(r"v[1-9][0-9]{0,5}", path.name):
            try:
                beside.append(read_manifest(path))
            except VerifyError as error:
                return [message("the bundle of {previous} beside this one: {error}", previous=previous, error=error)], []
    known = [manifest for manifest in beside if manifest["frozen_at"] <= bundle.manifest["frozen_at"] and manifest["month"] == previous]
    if not known:
        later = message("; the bundles of {previous} beside this one say that they were frozen later", previous=previous) if beside else ""
        return [], [
            (
                message("that {previous} was reported with the digest {said}", previous=previous, said=said)
                if said
                else message("that {previous} was not reported before this month", previous=previous)
            )
            + later
        ]
    if said not in {manifest["digest"] for manifest in known}:
        return [message("previous_digest is not the digest of {previous}, whose bundle lies beside this one", previous=previous)], []
    begins = bundle.manifest["debts"]["previous"]
    if begins is None:
        return [message("the debts name no month before, and the bundle of {previous} lies beside this one", previous=previous)], []
    named = {(manifest["version"], manifest["debts"]["closing_digest"]) for manifest in known if manifest["digest"] == said}
    if (begins["version"], begins["closing_digest"]) not in named:
        return [
            message(
                "the debts begin with those of {previous} v{version}, which is not how the bundle that previous_digest names closes",
                previous=previous,
                version=begins["version"],
            )
        ], []
    return [], []


def _words(bundle: OpenBundle) -> list[str]:
    """What no bundle can prove, and an auditor has to compare with the pool's books."""
    facts, rules = bundle.facts, bundle.rules
    wallets = ", ".join(sorted(facts.pool_wallets["wallet"].unique())[:SHOWN_NAMES])
    parameters = [message("finality of {chain} {count}", chain=chain, count=count) for chain, count in sorted(rules.finality.items())]
    used = sorted(set(facts.allocations["asset"].unique()) & set(rules.payout_unit))
    parameters += [message("payout unit of {asset} {payout_unit}", asset=asset, payout_unit=rules.payout_unit[asset]) for asset in used]
    parameters += [] if rules.has_payments_ledger else [message("no ledger of payments is kept")]
    networks = []
    for name, told in sorted(rules.network_facts.items()):
        if name not in OURS.names:
            networks.append(
                message(
                    "the facts of the network {name}, which this program does not know: address formats, proof of work, how its node is told",
                    name=name,
                )
            )
        elif told != (known := OURS.of(name).facts.to_json()):
            differing = ", ".join(sorted(key for key in told.keys() | known.keys() if told.get(key) != known.get(key)))
            networks.append(
                message(
                    "what differs of {name} from what this program knows, which was judged by: {differing}", name=name, differing=differing
                )
            )
    nodes = [
        message("{chain}: how many nodes said the same of the blocks with reported transfers, by the number of transactions: ", chain=chain)
        + (
            joined(", ", [message("{n} nodes {count}", n=n, count=count) for n, count in told["transactions"].items()])
            or message("there are none")
        )
        for chain, told in bundle.manifest.get("witnesses", {}).items()
    ]
    return [
        *nodes,
        message("the ledger: {height} allocations, {height_2} payments, {height_3} openings, and that it is complete", height=facts.allocations.height, height_2=facts.payments.height, height_3=facts.openings.height),
        message("the registry: {height} miners with their licences, accounts and wallets; {height_2} labels", height=facts.miners.height, height_2=facts.labels.height),
        message("which addresses are the pool's ({height} wallets: {wallets}), but for those whose keys signed for it", height=facts.pool_wallets.height, wallets=wallets)
        if facts.pool_wallets.height
        else message("that the pool has no wallet: the manifest names none"),
        message("parameters in force: {parameters}", parameters=joined(', ', parameters)),
        *networks,
        message("the form's header; who froze the month, when and why; positions in the log"),
    ]  # fmt: skip
