"""The rules' titles and what each one says in a sentence, as messages of the catalogue: docs/rules.md, which has the full text, is English.

Leaves: by the rule's number its title, as docs/rules.md has it, and the sentence. A test compares the numbers and titles with the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.texts import N_

RULES_IN_SHORT: Final[Mapping[str, tuple[str, str]]] = {
    "1.1": (
        N_("The reporting month"),
        N_("The report covers a calendar month and is due by the 25th of the next one."),
    ),
    "1.2": (
        N_("Days are Almaty's"),
        N_("Every date is the date in Almaty."),
    ),
    "1.3": (
        N_("What instant counts"),
        N_("A transfer has the time of its block's header; an allocation has its allocated_at."),
    ),
    "1.4": (
        N_("The 25th itself"),
        N_("The plan aims at the 25th itself, even when that is a day of rest."),
    ),
    "2.1": (
        N_("Whole base units"),
        N_("Amounts are whole numbers of the smallest unit, never rounded on the way."),
    ),
    "2.2": (
        N_("Printed amounts"),
        N_("In data files an amount has all decimals of its asset, and a dot."),
    ),
    "3.1": (
        N_("Classes of outputs"),
        N_("Each output of a pool's transaction has one class: payout, change, internal, a label's, or unknown."),
    ),
    "3.2": (
        N_("The fee, and coins of others"),
        N_("The fee is inputs less outputs; a transaction with coins of others is an issue."),
    ),
    "3.3": (
        N_("Strangers' payments"),
        N_("What others pay to a miner or to the pool is not the pool's outflow."),
    ),
    "3.4": (
        N_("Balances must come out"),
        N_("For each wallet opening + in − out − fees must be what is unspent at the month's end."),
    ),
    "3.5": (
        N_("Outflows to nobody known"),
        N_("Money that went to nobody known blocks the month until its address is labelled or the issue is waived."),
    ),
    "4.1": (
        N_("Dates of the registry"),
        N_("A row of the registry counts from valid_from to the day before valid_to; two holders on one day are an issue."),
    ),
    "4.2": (
        N_("The receiver of a payout"),
        N_("A payout is of the miner who holds its address; with a linked payment, of the holder of its account."),
    ),
    "4.3": (
        N_("The licence in force"),
        N_("A row shows the licence in force on the day of the allocation, else the last one known."),
    ),
    "4.4": (
        N_("Accounts and their holders"),
        N_("An allocation is of the miner who holds its account on that day; nobody is an issue."),
    ),
    "4.5": (
        N_("IIN and BIN"),
        N_("Twelve digits, the last one a control digit."),
    ),
    "4.6": (
        N_("The same credit twice"),
        N_("Allocations alike in account, asset, instant and amount under several ids are an issue."),
    ),
    "5.1": (
        N_("A transfer"),
        N_("All payouts of one transaction to one address are one transfer."),
    ),
    "5.2": (
        N_("Links of payments"),
        N_("A payment of the ledger is linked to the transfer of its transaction and address, or to the one that replaced it."),
    ),
    "5.3": (
        N_("Why amounts may differ"),
        N_("A difference between ledger and chain is explained by the fee or by rounding, or else is an issue."),
    ),
    "5.4": (
        N_("Transfers without a payment"),
        N_("A transfer that no payment of the ledger names is in the report all the same, with a warning."),
    ),
    "5.5": (
        N_("What a transfer settles"),
        N_("An explained transfer settles the payments' amounts, any other the chain's amount."),
    ),
    "6.1": (
        N_("First in, first out"),
        N_("A miner's allocations, oldest first, are settled by its credits, oldest first."),
    ),
    "6.2": (
        N_("Advances and excess"),
        N_("A transfer before its allocation is an advance; one with nothing to settle has no row yet."),
    ),
    "6.3": (
        N_("Net of commission"),
        N_("An allocation's amount is what the miner is credited after commission."),
    ),
    "6.4": (
        N_("A pool that starts in mid-life"),
        N_("A pool that starts in mid-life declares what each account was owed before its first month."),
    ),
    "7.1": (
        N_("What a month sees"),
        N_("A month sees what is dated up to its last day, and nothing later."),
    ),
    "7.2": (
        N_("Which rows there are"),
        N_("Each portion whose allocation or transfer lies in the month has a row, and so has what is left unsettled."),
    ),
    "7.3": (
        N_("One row for one pair"),
        N_("One allocation and one transfer have one row."),
    ),
    "7.4": (
        N_("Commission and carried rows"),
        N_("Commission stands on an allocation's first row only; carried rows repeat an amount, so totals are given apart."),
    ),
    "7.5": (
        N_("Order of rows"),
        N_("Rows are ordered by miner, allocation date and id, then by the transfer's instant."),
    ),
    "7.6": (
        N_("The header"),
        N_("The header has the form's index, month, the pool's fields, executor and head."),
    ),
    "8.1": (
        N_("When a month can close"),
        N_("A month closes when every chain is past its end, ledger and registry are complete, and no blocking issue is open."),
    ),
    "8.2": (
        N_("The digest"),
        N_("The digest is the SHA-256 of report.csv; the same facts always give the same one."),
    ),
    "8.3": (
        N_("Versions"),
        N_("A frozen version never changes; what arrives later makes the next version, with a reason."),
    ),
    "8.4": (
        N_("Editions"),
        N_("A frozen month keeps the edition of the rules that it was frozen under."),
    ),
    "8.5": (
        N_("What a waiver rests on"),
        N_("A waiver lapses when the ids or amounts that it rests on change."),
    ),
    "9.1": (
        N_("Registered, internal"),
        N_("A miner is registered when it is in the registry and holds the address on that chain."),
    ),
    "9.2": (
        N_("The month of an issue"),
        N_("An issue belongs to the month of what it is about: a block, a payment, an allocation."),
    ),
    "9.3": (
        N_("The fee test"),
        N_("In the test for a subtracted fee a transfer without a payment counts in full."),
    ),
    "9.4": (
        N_("Nobody"),
        N_("Nobody against somebody is a difference; a payment of an account that nobody holds credits nobody."),
    ),
    "9.5": (
        N_("Sharing a fee"),
        N_("With mixed inputs the fee is shared by the inputs' amounts."),
    ),
    "9.6": (
        N_("Ties"),
        N_("On an overlap the latest valid_from counts, then the smallest id."),
    ),
    "9.7": (
        N_("Currency"),
        N_("Amounts in a currency are printed as the ledger gives them."),
    ),
    "9.8": (
        N_("What a waiver names"),
        N_("Each issue has a reference that names one thing."),
    ),
    "10.1": (
        N_("Payers"),
        N_("A payment may name a payer that the settings declare; one not declared is an issue."),
    ),
    "10.2": (
        N_("On-chain payers"),
        N_("An on-chain payer's payment is linked to its transaction, whoever's coins they are."),
    ),
    "10.3": (
        N_("Explanations there"),
        N_("Such a difference is explained by rounding only, never by the fee."),
    ),
    "10.4": (
        N_("Not on the chain"),
        N_("A payment whose transaction is not in the chain, or pays the address nothing, is an issue."),
    ),
    "10.5": (
        N_("Off-chain payers"),
        N_("An off-chain payer's payment rests on the ledger's word, with a warning."),
    ),
    "10.6": (
        N_("The receiver there"),
        N_("The miner is the holder of the payment's account; another holder of the address is a warning."),
    ),
    "10.7": (
        N_("What a payer sends besides"),
        N_("What a payer sends besides is neither an outflow nor an issue."),
    ),
    "10.8": (
        N_("Looked for in the whole chain"),
        N_("A month closes only when every such payment was looked for in the whole chain."),
    ),
    "10.9": (
        N_("Payers in the files"),
        N_("transfers.csv names each transfer's payer, and the manifest counts by payer."),
    ),
}
