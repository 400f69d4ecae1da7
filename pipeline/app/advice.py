"""What to do about an issue, by its code and by how it looks on the chain and in the ledger.

Enters: a code, and what is known of the issue. Leaves: `Advice`: a title with its rule, a hint, and commands. Pure; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.model.issues import IssueCode, Severity
from pipeline.model.message import message
from pipeline.model.months import Month
from pipeline.texts import N_

ROUNDED = 1_000
"""Base units: an amount on the chain that is a whole multiple of it looks rounded."""

TITLES: Mapping[IssueCode, tuple[str, str]] = {
    IssueCode.MIXED_INPUTS: (N_("a transaction of the pool spends coins of others, too"), "3.2"),
    IssueCode.WALLET_DOES_NOT_BALANCE: (N_("a wallet's balance does not come out"), "3.4"),
    IssueCode.UNKNOWN_OUTFLOW: (N_("money went to an address that nobody is known to hold"), "3.5"),
    IssueCode.REGISTRY_OVERLAP: (N_("two miners hold one account or address on the same days"), "4.1"),
    IssueCode.WALLET_HOLDER_DIFFERS: (N_("the address and the account belong to different miners"), "4.2"),
    IssueCode.LICENCE_NOT_IN_FORCE: (N_("no licence was in force on the day of the allocation"), "4.3"),
    IssueCode.UNKNOWN_ACCOUNT: (N_("the registry has no holder of the account on that day"), "4.4"),
    IssueCode.ACCOUNT_CHANGED_HANDS: (N_("an account went to another miner while the first was owed something"), "4.4"),
    IssueCode.BAD_MINER_ID: (N_("an IIN/BIN is not valid"), "4.5"),
    IssueCode.ALLOCATION_TWICE: (N_("the same allocation stands in the ledger under several ids"), "4.6"),
    IssueCode.PAYMENT_NOT_ON_CHAIN: (N_("the ledger lists a payment that no transaction made"), "5.2"),
    IssueCode.PAYMENT_AMOUNT_DIFFERS: (N_("the chain shows another amount than the ledger"), "5.3"),
    IssueCode.TRANSFER_WITHOUT_PAYMENT: (N_("the chain shows a payout that the ledger does not list"), "5.4"),
    IssueCode.TRANSFER_BEFORE_ALLOCATION: (N_("a payout is older than the allocation that it settles"), "6.2"),
    IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS: (N_("a miner was paid more than was allocated"), "6.2"),
    IssueCode.UNKNOWN_PAYER: (N_("a payment names a payer that the settings do not declare"), "10.1"),
    IssueCode.PAYER_DIFFERS: (N_("the pool itself made a transaction that the ledger gives to a payer"), "10.2"),
    IssueCode.TRANSFER_NOT_PROVEN: (N_("a payout stands on the ledger's word alone"), "10.5"),
    IssueCode.SOURCE_UNCERTAIN: (N_("a source of the ledger does not know yet how a row ends"), ""),
    IssueCode.SOURCE_RESTATEMENT: (N_("a source of the ledger moves a row, or contradicts an import"), ""),
    IssueCode.SOURCE_UNEXPLAINED: (N_("a row of a source vanished, or can't be explained"), ""),
    IssueCode.SOURCE_HOLE: (N_("a source was out of reach for longer than it keeps its rows"), ""),
    IssueCode.REGISTRY_UNDATED: (N_("an account or a wallet changed on a day that nobody knows, and something depends on it"), ""),
    IssueCode.SOURCE_DOES_NOT_RECONCILE: (N_("two sums of a source that must be equal are not"), ""),
    IssueCode.UNREADABLE_EVENT: (N_("an event of the log can't be read"), ""),
    IssueCode.EVENT_NOT_AUTHENTIC: (N_("an event of the log was signed by no key that may write it"), ""),
    IssueCode.UNKNOWN_ASSET: (N_("a token that the settings do not know left a wallet"), ""),
    IssueCode.BAD_ADDRESS: (N_("an address has a wrong checksum"), ""),
    IssueCode.NODE_ANSWER_CHANGED: (N_("the node gave another answer about a block when it was asked again"), ""),
    IssueCode.FORGED_TRANSFERS: (N_("contracts claim to have moved tokens out of a wallet"), ""),
    IssueCode.NODES_DISAGREE: (N_("two nodes say different things of the pool's transactions in a block"), ""),
    IssueCode.ONE_NODE_ONLY: (N_("blocks of the month were read from one node only"), ""),
    IssueCode.TRACES_DIFFER: (N_("what a transaction paid inside it is told differently by two witnesses"), ""),
}

_HINTS: Mapping[IssueCode, str] = {
    IssueCode.MIXED_INPUTS: N_(
        "Are the other coins the pool's, from a wallet that the settings lack? Then add it to [[chains.NAME.wallets]] and restart; else find out whose they are, and waive."
    ),
    IssueCode.WALLET_DOES_NOT_BALANCE: N_(
        "Is an address or descriptor missing in the settings, or does start_height lie after the wallet's first use?"
    ),
    IssueCode.REGISTRY_OVERLAP: N_("Correct the dates in the registry and import it again."),
    IssueCode.WALLET_HOLDER_DIFFERS: N_(
        "The report goes by the address. Is the address missing in the registry's wallets, or the account's holder out of date?"
    ),
    IssueCode.LICENCE_NOT_IN_FORCE: N_(
        "The report shows the last licence known. Is a licence missing in the registry, or its dates out of date?"
    ),
    IssueCode.UNKNOWN_ACCOUNT: N_("Add the account with its holder and dates to the registry's accounts, and import it again."),
    IssueCode.ACCOUNT_CHANGED_HANDS: N_(
        "Correct the dates in the registry; if the account did change hands, what is owed stays with the first miner: waive."
    ),
    IssueCode.BAD_MINER_ID: N_("Correct the number in the registry and import it again."),
    IssueCode.ALLOCATION_TWICE: N_(
        "Was the ledger exported again with new numbers? Correct it and import it again; if the credits are real, waive: all of them count."
    ),
    IssueCode.TRANSFER_WITHOUT_PAYMENT: N_(
        "The payout is in the report all the same. Import the payments once more if the ledger has it by now."
    ),
    IssueCode.TRANSFER_BEFORE_ALLOCATION: N_("Paid in advance, or the ledger's times are in another time zone ([ledger] timezone)."),
    IssueCode.TRANSFER_EXCEEDS_ALLOCATIONS: N_(
        "Are allocations missing in the ledger, or debts from before it began (esep import openings)?"
    ),
    IssueCode.UNKNOWN_PAYER: N_(
        "Declare the payer in the settings, as [payers.NAME], and import the file again: only then are an on-chain payer's addresses and transaction ids read as such."
    ),
    IssueCode.PAYER_DIFFERS: N_("The report takes it as the pool's own. Correct the payer in the ledger if that is wrong."),
    IssueCode.TRANSFER_NOT_PROVEN: N_("Nothing to do: an off-chain payer's payouts can't be proved."),
    IssueCode.SOURCE_UNCERTAIN: N_(
        "Wait for the block or the transaction; a payment's outcome a person can say, too: esep sources decide."
    ),
    IssueCode.SOURCE_RESTATEMENT: N_("Find out at the source which is right, then accept or refuse it: esep sources decide."),
    IssueCode.SOURCE_UNEXPLAINED: N_("Find out at the source what happened to the row, then accept or refuse it: esep sources decide."),
    IssueCode.SOURCE_HOLE: N_("Import what the source had in that time from elsewhere, then accept the hole: esep sources decide."),
    IssueCode.REGISTRY_UNDATED: N_(
        "Find out from which day on the change counts, and say it: esep sources decide SOURCE ITEM dated --day DAY."
    ),
    IssueCode.SOURCE_DOES_NOT_RECONCILE: N_("Find out at the source why; it ends by itself once the sums agree."),
    IssueCode.UNREADABLE_EVENT: N_("This program is older than the log: upgrade it."),
    IssueCode.EVENT_NOT_AUTHENTIC: N_(
        "Somebody wrote to the log without a key for it, or removed something: esep log check, docs/security.md."
    ),
    IssueCode.UNKNOWN_ASSET: N_(
        "If the token is the pool's own, declare it as [assets.NAME] with its contract. If its contract only claims the transfer, and no node still had that block's state to show so, label the contract, or the account that sends the transactions, poisoning: it holds for all months. Else waive."
    ),
    IssueCode.BAD_ADDRESS: N_("Look the address up where it came from, correct it there and import again."),
    IssueCode.NODE_ANSWER_CHANGED: N_("The second answer counts. If it happens often, use another node."),
    IssueCode.FORGED_TRANSFERS: N_(
        "Nothing to do, and never copy an address from such a transaction. A label of class poisoning on a contract or a sender sets it aside for all months."
    ),
    IssueCode.NODES_DISAGREE: N_(
        "Compare both answers with a third node or an explorer. Name the node that is right first in the settings and restart: the block is read again. Else waive."
    ),
    IssueCode.ONE_NODE_ONLY: N_(
        "Bring the other node back (esep nodes): the blocks are read from it, and the issue goes. Else waive: the manifest says that one node stood behind them."
    ),
    IssueCode.TRACES_DIFFER: N_(
        "Look the transaction up at another node or an explorer. If the amounts in the report are right, waive; else follow the chain with another node, from a new log."
    ),
}

_WHOSE = N_("Say whose address it is; a miner's goes into the registry's wallets, the pool's own into the settings.")
_NO_CHANGE = N_(
    "Nothing of this transaction came back to the pool: is a change descriptor missing in the settings? Else: say whose address it is; a miner's goes into the "
    "registry's wallets, the pool's own into the settings."
)
_WRONG_ADDRESS = N_("The transaction is the pool's, but pays nothing to that address: is the address in the ledger right?")
_NO_TRANSACTION = N_(
    "If the transaction is on the chain, no wallet of yours is in it: is a change descriptor missing in the settings, or did a payer of [payers] pay, whom the ledger's column payer "
    "should name? If it is not, it was never mined or was replaced: correct the payment in the ledger and import it again."
)
_STRANGERS = N_(
    "The transaction is on the chain, but no wallet of yours is in it: is a change descriptor missing in the settings, or did a payer of [payers] pay, whom the ledger's column payer "
    "should name?"
)
_NEVER_MINED = N_(
    "The node knows no such transaction in any block: it was never mined, or was replaced. Correct the payment in the ledger and import it again."
)
_NOT_SOUGHT = N_("The payer's transaction was not looked for yet: esep run (or esep watch) does it, and the issue goes where it is found.")
_OF_PAYER = N_(
    "The payer's transaction is in no block, or pays nothing to that address: compare both with the payer's own statement, correct the payment and import it again."
)
_ROUNDED = N_("The chain's amounts look rounded: say to which unit the pool rounds its payouts, in [payout_unit].")
_OTHER_AMOUNT = N_("Correct the payment in the ledger and import it again: what the chain shows is in the report.")


@dataclass(frozen=True)
class Advice:
    """What an issue means and what resolves it."""

    title: str
    rule: str
    """The rule's number, for `esep rule`; empty where no rule is cited."""
    hint: str
    commands: tuple[str, ...] = ()


def advice_of_code(code: str) -> tuple[str, str]:
    """Title and hint of a code, whatever it looks like; the code itself for one that is not known."""
    known = next((one for one in IssueCode if one.value == code), None)
    return (message(TITLES[known][0]), message(_HINTS[known]) if known in _HINTS else "") if known is not None else (code, "")


def advice(code: IssueCode, known: Mapping[str, str], month: Month) -> Advice:
    """The advice for one issue. `known`: its facts by name, and how it looks on the chain (`issues`)."""
    title, rule = TITLES[code]
    hint, commands = _HINTS.get(code, ""), []
    chain = f" --chain {known['chain']}" if known.get("chain") not in (None, "", "bitcoin") else ""
    if code is IssueCode.UNKNOWN_OUTFLOW:
        hint = _WHOSE if known.get("has_change") else _NO_CHANGE
        commands = [f"esep label ADDRESS vendor --name WHOSE{chain} --by NAME --reason TEXT"]
    if code is IssueCode.UNKNOWN_ASSET:
        commands = [f"esep label CONTRACT poisoning --name WHOSE{chain} --by NAME --reason TEXT"]
    if code is IssueCode.PAYMENT_NOT_ON_CHAIN:
        told = {"yes": _STRANGERS, "no": _NEVER_MINED}.get(known.get("is_on_chain", ""), _NO_TRANSACTION)
        hint = _WRONG_ADDRESS if known.get("is_of_pool") else told
        if known.get("payer"):
            hint, rule = (_OF_PAYER if known.get("is_sought") else _NOT_SOUGHT), "10.4"
    if code is IssueCode.PAYMENT_AMOUNT_DIFFERS:
        amount, paid = int(known.get("amount") or 0), int(known.get("paid") or 0)
        hint = _ROUNDED if amount % ROUNDED == 0 and paid % ROUNDED != 0 else _OTHER_AMOUNT
    if code.severity is Severity.BLOCKING:
        commands.append(f"esep waive {month} SHORT-NAME --by NAME --reason TEXT")
    return Advice(message(title), rule, message(hint), tuple(commands))
