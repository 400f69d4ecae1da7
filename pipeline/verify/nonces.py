"""Account chains: no transaction that a wallet of the pool's sent can vanish, because each one takes the next number (ADR 15).

Enters: a bundle's proved transactions and states. Leaves: faults, what was seen, what is on the signer's word. A transaction's sender is recovered from its own bytes; the
numbers (nonces) of one sender's transactions follow each other without a gap, and a state under a header says which one comes next. A key that authorizes code (EIP-7702)
uses up a number without a transaction of its own: such authorizations are read from the proved transactions that carry them, strangers' too, which the follower tells from the block
that the manifest names. A gap is a fault where these are all told and the account ran no code; else it may be honest, and is named as not checked: before that block a stranger's
transaction may have carried an authorization, and code that an account runs uses a number up for each contract that it makes. Left out: accounts with code that sent nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from pipeline.assess.wallets import pool_addresses
from pipeline.chains.evm.authorizations import authorizations_of
from pipeline.chains.evm.headers import parse_header
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.evm.transactions import parse_account_transaction, sender_of
from pipeline.chains.evm.trie import NO_CODE, account_state
from pipeline.model.message import joined, message

from .balances import header_of_account
from .finding import Finding
from .manifest import authorizations_from
from .opened import OpenBundle

SHOWN = 5
Account = tuple[str, str]
"""Chain and address."""
SENT, AUTHORIZED, STATE = range(3)
"""In the order of one place in a block: a sender's number goes up before its transaction's authorizations are looked at; a state is that after the block."""
AFTER_BLOCK = 1 << 62


class Step(NamedTuple):
    """Something that uses or shows an account's number, in the chain's order."""

    height: int
    place: int
    """In the block."""
    kind: int
    number: int
    """Of a transaction its own; of an authorization the one that it is for; of a state the next one."""
    name: str = ""
    """A transaction's id."""
    code_hash: bytes = NO_CODE
    """Of an authorization and of a state: the code that the account runs since, or then."""


class Walked(NamedTuple):
    """What the steps of one account come to."""

    faults: list[str]
    gaps: list[str]
    """Numbers that nothing in the bundle uses, where that may be honest."""
    applied: int
    """How many numbers authorizations used up."""


def check_nonces(bundle: OpenBundle) -> Finding:
    """The numbers of every sender of the pool's."""
    ours = {
        (chain, address)
        for chain, _, address in pool_addresses(bundle.facts).iter_rows()
        if isinstance(bundle.networks[chain], AccountNetwork)
    }
    ours |= {(proof.chain, proof.address) for proof in bundle.evidence.accounts}
    if not ours:
        return Finding([], "")
    steps, delegated, faults = _sent(bundle, ours)
    states, with_code = _states(bundle, steps, delegated)
    for account, shown in states.items():
        steps[account] += shown
    proved = {(proof.chain, proof.txid) for proof in bundle.evidence.proofs}
    # What a block itself credits is told under its hash, and is no transaction that anybody sends.
    sent = bundle.facts.transactions.filter(~(pl.col("is_coinbase") & (pl.col("txid") == pl.col("block_hash"))))
    unproved = {
        chain
        for chain, txid in sent.select("chain", "txid").iter_rows()
        if isinstance(bundle.networks.get(chain), AccountNetwork) and (chain, txid) not in proved
    }
    words = [
        message(
            "that no transaction of {chain} is left out: some of its facts are not proved, so senders' numbers can't be compared",
            chain=chain,
        )
        for chain in sorted(unproved)
    ]
    if with_code:
        words.append(
            message("that nothing was sent by {accounts}: these accounts have code, and may be contracts", accounts=_named(with_code))
        )
    told_from = authorizations_from(bundle)
    last = {chain: int(told["last_block_height"]) for chain, told in bundle.manifest["chains"].items() if "last_block_height" in told}
    count = senders = authorized = 0
    open_ended, gaps = [], list[str]()
    for account in sorted(ours):
        chain, address = account
        if chain in unproved:
            continue
        mine = sorted(steps[account], key=_in_the_chain)
        walked = _walked(account, mine, told_from.get(chain))
        faults += walked.faults
        gaps += walked.gaps
        authorized += walked.applied
        own = [step for step in mine if step.kind == SENT]
        count += len(own)
        senders += bool(own)
        if own and not any(step.kind == STATE and step.height >= last.get(chain, 0) for step in mine):
            open_ended.append(message("{address} after number {number}", address=address, number=own[-1].number))
    if open_ended:
        words.append(message("that nothing more was sent by the month's end by {shown}: no state proves it", shown=_named(open_ended)))
    seen = (
        message("{count} transactions of {senders} senders follow each other by their numbers", count=count, senders=senders)
        if count
        else ""
    )
    seen += message(", none is left out between them") if count and not gaps else ""
    seen += message("; {authorized} numbers were used by authorizations of code (EIP-7702)", authorized=authorized) if authorized else ""
    return Finding(faults, seen, on_word=tuple(words), undecided=joined("; ", gaps))


def _named(texts: list[str]) -> str:
    more = message(" and {count} more", count=len(texts) - SHOWN) if len(texts) > SHOWN else ""
    return joined("", (joined(", ", texts[:SHOWN]), more))


def _sent(bundle: OpenBundle, ours: set[Account]) -> tuple[dict[Account, list[Step]], dict[Account, set[bytes]], list[str]]:
    """What the proved transactions' bytes say of each account: what it sent, what it authorized; the code that it may run since, by its hash; faults."""
    steps: dict[Account, list[Step]] = defaultdict(list)
    delegated: dict[Account, set[bytes]] = defaultdict(set)
    faults = []
    named = {
        row[:2]: row[2]
        for row in bundle.facts.inputs.filter(pl.col("signed_by").is_not_null()).select("chain", "txid", "signed_by").iter_rows()
    }
    for proof in bundle.evidence.proofs:
        network = bundle.networks.get(proof.chain)
        if not isinstance(network, AccountNetwork):
            continue
        raw = bytes.fromhex(proof.raw)
        try:
            account = proof.chain, sender_of(raw)
            if (signer := named.get((proof.chain, proof.txid), account[1])) != account[1]:
                faults.append(
                    message(
                        "{chain} transaction {txid}: {account} signed it, the facts say {signer}",
                        chain=proof.chain,
                        txid=proof.txid,
                        account=account[1],
                        signer=signer,
                    )
                )
            if account in ours:
                steps[account].append(Step(proof.height, proof.position, SENT, parse_account_transaction(raw).nonce, proof.txid))
            for given in authorizations_of(raw):
                account = proof.chain, given.authority
                if account in ours and given.chain_id in (0, network.chain_id):
                    # The same authorization may stand twice in a list: the second one finds the number used up.
                    steps[account].append(Step(proof.height, proof.position, AUTHORIZED, given.nonce, proof.txid, given.code_hash))
                    delegated[account].add(given.code_hash)
        except ValueError as error:
            faults.append(message("{chain} transaction {txid}: {error}", chain=proof.chain, txid=proof.txid, error=error))
    return steps, delegated, faults


def _states(
    bundle: OpenBundle, sent: Mapping[Account, list[Step]], delegated: Mapping[Account, set[bytes]]
) -> tuple[dict[Account, list[Step]], list[str]]:
    """Each proved state of an account without code, or with code that its key authorized; and the addresses with other code, which may be contracts.

    An account that sends is a key's, whatever code it has (EIP-3607). A proof that does not hold is told where balances are checked.
    """
    headers = {
        (chain, height): (hash_, raw)
        for chain, height, hash_, raw in bundle.evidence.headers.select("chain", "height", "hash", "header").iter_rows()
    }
    states: dict[Account, list[Step]] = defaultdict(list)
    others: dict[str, None] = {}
    for proof in bundle.evidence.accounts:
        try:
            root = parse_header(header_of_account(proof, headers)).state_root
            state = account_state(root, proof.address, [bytes.fromhex(node) for node in proof.proof])
        except ValueError:
            continue
        account = proof.chain, proof.address
        if state.is_key or state.code_hash in delegated.get(account, ()) or sent.get(account):
            states[account].append(Step(proof.height, AFTER_BLOCK, STATE, state.nonce, code_hash=state.code_hash))
        else:
            others[message("{account} account {account_2}", account=proof.chain, account_2=proof.address)] = None
    return states, list(others)


def _in_the_chain(step: Step) -> tuple[int, int, int]:
    """The authorizations of one transaction keep their order in it."""
    return step.height, step.place, step.kind


def _walked(account: Account, steps: list[Step], told_from: int | None) -> Walked:
    """One account's numbers in their order. `told_from`: from this block on every authorization is in the bundle; None: that is not said."""
    faults: list[str] = []
    gaps: list[str] = []
    applied = 0
    following: int | None = None
    """The number that comes next; None before any is known."""
    before: Step | None = None
    """What showed it last."""
    runs_code = ran_code = False
    """Whether the account runs code now; whether it did at any time since `before`."""
    where = message("{account} account {account_2}", account=account[0], account_2=account[1])
    for step in steps:
        if step.kind == AUTHORIZED:
            if step.number == following:  # else it changed nothing
                following, applied = following + 1, applied + 1
                runs_code = step.code_hash != NO_CODE
                ran_code |= runs_code
            continue
        if following is not None and before is not None and step.number != following:
            misfit = _misfit(before, step, following)
            is_told = told_from is not None and told_from <= before.height + (before.kind == STATE)
            if step.number < following or (is_told and not ran_code):
                faults.append(message("{where} {misfit}", where=where, misfit=misfit))
            elif ran_code:
                gaps.append(message("{where} {misfit}, or the code that it runs made contracts", where=where, misfit=misfit))
            else:
                gaps.append(
                    message(
                        "{where} {misfit}, or authorizations of code in strangers' transactions, which were not told {since}, used them up",
                        where=where,
                        misfit=misfit,
                        since=message("by this bundle's follower")
                        if told_from is None
                        else message("before block {height}", height=told_from),
                    )
                )
        if step.kind == STATE:
            runs_code = step.code_hash != NO_CODE
        before, ran_code = step, runs_code
        following = step.number + 1 if step.kind == SENT else step.number
    return Walked(faults, gaps, applied)


def _misfit(before: Step, step: Step, following: int) -> str:
    """How a step contradicts the number that should come next after `before`."""
    is_more = step.number > following
    if step.kind == STATE:
        return message(
            "had used {number} numbers after block {height}, the facts come to {following}: {more}",
            number=step.number,
            height=step.height,
            following=following,
            more=message("some are left out") if is_more else message("some are not its own"),
        )
    what = message("what it sent between them is left out") if is_more else message("numbers never go back")
    if before.kind == STATE:
        what = message("some are left out") if is_more else message("some are not its own")
        return message(
            "had used {following} numbers after block {height}, and then sent number {number} in {name}: {what}",
            following=following,
            height=before.height,
            number=step.number,
            name=step.name,
            what=what,
        )
    return message(
        "sent number {number} in {name} and then number {number_2} in {name_2}: {what}",
        number=before.number,
        name=before.name,
        number_2=step.number,
        name_2=step.name,
        what=what,
    )
