"""Account chains: no transaction that a wallet of the pool's sent can vanish, because each one takes the next number (ADR 15).

Enters: a bundle's proved transactions and states. Leaves: faults, what was seen, what is on the signer's word. A transaction's sender is recovered from its own bytes; the
numbers (nonces) of one sender's transactions follow each other without a gap, and a state under a header says which one comes next. A key that authorizes code (EIP-7702)
uses up a number without a transaction of its own: such authorizations are read from the proved transactions that carry them. Left out: accounts with code of another
kind, which send nothing by themselves. An authorization in a stranger's transaction that moves nothing of the pool's is in no bundle: the number that it used up is a gap here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import polars as pl

from pipeline.assess.wallets import pool_addresses
from pipeline.chains.evm.authorizations import authorizations_of
from pipeline.chains.evm.headers import parse_header
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.evm.transactions import parse_account_transaction, sender_of
from pipeline.chains.evm.trie import account_state

from .balances import header_of_account
from .finding import Finding
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
    for account, states in _states(bundle, delegated).items():
        steps[account] += states
    proved = {(proof.chain, proof.txid) for proof in bundle.evidence.proofs}
    unproved = {
        chain
        for chain, txid in bundle.facts.transactions.select("chain", "txid").iter_rows()
        if isinstance(bundle.networks.get(chain), AccountNetwork) and (chain, txid) not in proved
    }
    words = [
        f"that no transaction of {chain} is left out: some of its facts are not proved, so senders' numbers can't be compared"
        for chain in sorted(unproved)
    ]
    last = {chain: int(told["last_block_height"]) for chain, told in bundle.manifest["chains"].items() if "last_block_height" in told}
    count = senders = authorized = 0
    open_ended = []
    for account in sorted(ours):
        chain, address = account
        if chain in unproved:
            continue
        mine = sorted(steps[account], key=_in_the_chain)
        found, applied = _walked(account, mine)
        faults += found
        authorized += applied
        own = [step for step in mine if step.kind == SENT]
        count += len(own)
        senders += bool(own)
        if own and not any(step.kind == STATE and step.height >= last.get(chain, 0) for step in mine):
            open_ended.append(f"{address} after number {own[-1].number}")
    if open_ended:
        shown = ", ".join(open_ended[:SHOWN]) + (f" and {len(open_ended) - SHOWN} more" if len(open_ended) > SHOWN else "")
        words.append(f"that nothing more was sent by the month's end by {shown}: no state proves it")
    seen = f"{count} transactions of {senders} senders follow each other by their numbers, none is left out between them" if count else ""
    seen += f"; {authorized} numbers were used by authorizations of code (EIP-7702)" if authorized else ""
    return Finding(faults, seen, on_word=tuple(words))


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
                faults.append(f"{proof.chain} transaction {proof.txid}: {account[1]} signed it, the facts say {signer}")
            if account in ours:
                steps[account].append(Step(proof.height, proof.position, SENT, parse_account_transaction(raw).nonce, proof.txid))
            for given in authorizations_of(raw):
                account = proof.chain, given.authority
                if account in ours and given.chain_id in (0, network.chain_id):
                    # The same authorization may stand twice in a list: the second one finds the number used up.
                    steps[account].append(Step(proof.height, proof.position, AUTHORIZED, given.nonce, proof.txid))
                    delegated[account].add(given.code_hash)
        except ValueError as error:
            faults.append(f"{proof.chain} transaction {proof.txid}: {error}")
    return steps, delegated, faults


def _states(bundle: OpenBundle, delegated: dict[Account, set[bytes]]) -> dict[Account, list[Step]]:
    """Each proved state of an account without code, or with code that its key authorized. A proof that does not hold is told where balances are checked."""
    headers = {
        (chain, height): (hash_, raw)
        for chain, height, hash_, raw in bundle.evidence.headers.select("chain", "height", "hash", "header").iter_rows()
    }
    states: dict[Account, list[Step]] = defaultdict(list)
    for proof in bundle.evidence.accounts:
        try:
            root = parse_header(header_of_account(proof, headers)).state_root
            state = account_state(root, proof.address, [bytes.fromhex(node) for node in proof.proof])
        except ValueError:
            continue
        account = proof.chain, proof.address
        if state.is_key or state.code_hash in delegated[account]:
            states[account].append(Step(proof.height, AFTER_BLOCK, STATE, state.nonce))
    return states


def _in_the_chain(step: Step) -> tuple[int, int, int]:
    """The authorizations of one transaction keep their order in it."""
    return step.height, step.place, step.kind


def _walked(account: Account, steps: list[Step]) -> tuple[list[str], int]:
    """What does not fit along one account's numbers; and how many of them authorizations used up."""
    faults: list[str] = []
    applied = 0
    following: int | None = None
    """The number that comes next; None before any is known."""
    before: Step | None = None
    """What showed it last."""
    where = f"{account[0]} account {account[1]}"
    for step in steps:
        if step.kind == AUTHORIZED:
            if step.number == following:  # else it changed nothing
                following, applied = following + 1, applied + 1
            continue
        if following is not None and before is not None and step.number != following:
            faults.append(f"{where} {_misfit(before, step, following)}")
        before = step
        following = step.number + 1 if step.kind == SENT else step.number
    return faults, applied


def _misfit(before: Step, step: Step, following: int) -> str:
    """How a step contradicts the number that should come next after `before`."""
    is_more = step.number > following
    if step.kind == STATE:
        return (
            f"had used {step.number} numbers after block {step.height}, the facts come to {following}: "
            f"{'some are left out' if is_more else 'some are not its own'}"
        )
    what = "what it sent between them is left out" if is_more else "numbers never go back"
    if before.kind == STATE:
        what = "some are left out" if is_more else "some are not its own"
        return f"had used {following} numbers after block {before.height}, and then sent number {step.number} in {step.name}: {what}"
    return f"sent number {before.number} in {before.name} and then number {step.number} in {step.name}: {what}"
