"""What a manifest leaves out that it might have: whoever forges one can take it out, so that a check has nothing to hold on to.

Enters: a bundle. Leaves: faults, where every honest bundle has it; what is undecided, where an older program left it out, too, and much hangs on it; else a line of what is
then on the signer's word. What other checks miss by themselves (coins, receipts, lists of wallets, decisions under a root key) they say. `tests/forgery/test_omission.py` has all of them.
"""

from __future__ import annotations

from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.networks import OURS
from pipeline.model.message import message
from pipeline.model.rules import NEWEST_EDITION
from pipeline.render.document import HEADER_FIELDS

from .coins import PROVED_EDITION
from .grounds import SINCE as GROUNDS_SINCE
from .opened import OpenBundle


def omission_faults(bundle: OpenBundle) -> list[str]:
    """Parts that every honest bundle of any edition has."""
    manifest = bundle.manifest
    faults = []
    if lacking := [name for name in HEADER_FIELDS if name not in manifest["header"]]:
        faults.append(message("the form's header lacks {names} (rule 7.6)", names=", ".join(lacking)))
    if not manifest["positions"]:
        faults.append(message("the manifest names no position in the log"))
    for name, payer in sorted(bundle.rules.payers.items()):
        if payer.way == "on-chain" and payer.chain is None:
            faults.append(message("the payer {name} pays on chain, and the rules name no chain of it", name=name))
    return faults


def older_edition(bundle: OpenBundle) -> str:
    """What is not asked of a bundle because it says that it is of an older edition; "" for one of the newest."""
    edition = bundle.rules.edition
    if edition >= NEWEST_EDITION:
        return ""
    return message(
        "frozen under edition {edition} of the rules, as the bundle says itself (anybody can say so). {lacking}",
        edition=edition,
        lacking=message(
            "Such a bundle proves the transactions of the month's rows and outflows alone, so a payout that was left out would not show; it lists neither the pool's coins nor its addresses with signatures of their keys, and has no root for miners' receipts. None of this can be proved of it"
        )
        if edition < PROVED_EDITION
        else message(
            "Such a bundle lists neither the pool's coins nor its addresses with signatures of their keys, and has no root for miners' receipts. None of this can be proved of it"
        ),
    )


def omission_words(bundle: OpenBundle) -> list[str]:
    """What is on the signer's word because the manifest does not say more; absent in honest bundles of older programs, too."""
    manifest, rules = bundle.manifest, bundle.rules
    words = []
    if unbound := sum(waiver.get("facts") is None for waiver in manifest["waivers"]):
        words.append(
            message("what {unbound} waiver(s) were given on: they do not say it, so none of them lapses (rule 8.5)", unbound=unbound)
        )
    if not manifest.get("documents") and (manifest["waivers"] or bundle.facts.labels.height or rules.off_chain_payers()):
        words.append(message("waivers, labels and off-chain transfers, of which no document is named"))
    if "rests_on" not in manifest and rules.edition >= GROUNDS_SINCE:
        words.append(message("what each payer's sums rest on: the manifest does not say it"))
    if one_node := sorted(set(rules.finality) - set(rules.witnesses)):
        words.append(message("that one node told all of {chains}: the rules ask for no second one", chains=", ".join(one_node)))
    if unknown := sorted({name for name in rules.network.values() if name in OURS.names and name not in rules.network_facts}):
        words.append(
            message(
                "what was known of the networks {names} at the freeze: it is not recorded, and this program's facts count",
                names=", ".join(unknown),
            )
        )
    return words + _of_accounts(bundle)


def _of_accounts(bundle: OpenBundle) -> list[str]:
    """How an account chain was read, as far as the manifest says it."""
    words = []
    for chain, told in sorted(bundle.manifest["chains"].items()):
        if not isinstance(bundle.networks.get(chain), AccountNetwork):
            continue
        way = told.get("internal_calls")
        words.append(
            message("{chain}: calls inside transactions were seen by {way}", chain=chain, way=way)
            if way is not None
            else message("{chain}: how calls inside transactions were seen is not said", chain=chain)
        )
        if "authorizations_from" not in told:
            words.append(
                message(
                    "{chain}: that strangers' transactions held no authorizations of code (EIP-7702): from which block they were told is not said",
                    chain=chain,
                )
            )
    return words
