"""Account chains: no transaction that a wallet of the pool's sent can vanish, because each one takes the next number (ADR 15).

Enters: a bundle's proved transactions and states. Leaves: faults, what was seen, what is on the signer's word. A transaction's sender is recovered from its own bytes; the
numbers (nonces) of one sender's transactions follow each other without a gap, and a state under a header says how many it had sent by then. Left out: accounts with
code, which send nothing by themselves. A key that authorizes code (EIP-7702) uses numbers up without a transaction of its own: such a gap is a fault here.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from pipeline.assess.wallets import pool_addresses
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
Sent = tuple[int, int, int, str]
"""Height, place in the block, number, txid."""


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
    sent, faults = _sent(bundle, ours)
    states = _states(bundle)
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
    count = 0
    open_ended = []
    for account in sorted(ours):
        chain, address = account
        if chain in unproved:
            continue
        mine, known = sorted(sent[account]), sorted(states[account])
        faults += _gaps(account, mine) + _state_faults(account, mine, known)
        count += len(mine)
        if mine and not any(height >= last.get(chain, 0) for height, _ in known):
            open_ended.append(f"{address} after number {mine[-1][2]}")
    if open_ended:
        shown = ", ".join(open_ended[:SHOWN]) + (f" and {len(open_ended) - SHOWN} more" if len(open_ended) > SHOWN else "")
        words.append(f"that nothing more was sent by the month's end by {shown}: no state proves it")
    senders = sum(bool(sent[account]) for account in ours)
    seen = f"{count} transactions of {senders} senders follow each other by their numbers, none is left out between them" if count else ""
    return Finding(faults, seen, on_word=tuple(words))


def _sent(bundle: OpenBundle, ours: set[Account]) -> tuple[dict[Account, list[Sent]], list[str]]:
    """The proved transactions by sender, as their bytes say."""
    sent: dict[Account, list[Sent]] = defaultdict(list)
    faults = []
    for proof in bundle.evidence.proofs:
        if not isinstance(bundle.networks.get(proof.chain), AccountNetwork):
            continue
        raw = bytes.fromhex(proof.raw)
        try:
            account = proof.chain, sender_of(raw)
            if account in ours:
                sent[account].append((proof.height, proof.position, parse_account_transaction(raw).nonce, proof.txid))
        except ValueError as error:
            faults.append(f"{proof.chain} transaction {proof.txid}: {error}")
    return sent, faults


def _states(bundle: OpenBundle) -> dict[Account, list[tuple[int, int]]]:
    """Height and number of each proved state of an account without code. A proof that does not hold is told where balances are checked."""
    headers = {
        (chain, height): (hash_, raw)
        for chain, height, hash_, raw in bundle.evidence.headers.select("chain", "height", "hash", "header").iter_rows()
    }
    states: dict[Account, list[tuple[int, int]]] = defaultdict(list)
    for proof in bundle.evidence.accounts:
        try:
            root = parse_header(header_of_account(proof, headers)).state_root
            state = account_state(root, proof.address, [bytes.fromhex(node) for node in proof.proof])
        except ValueError:
            continue
        if state.is_key:
            states[proof.chain, proof.address].append((proof.height, state.nonce))
    return states


def _gaps(account: Account, mine: list[Sent]) -> list[str]:
    faults = []
    for (_, _, before, first), (_, _, after, second) in pairwise(mine):
        if after != before + 1:
            faults.append(
                f"{account[0]} account {account[1]} sent number {before} in {first} and then number {after} in {second}: "
                f"{'what it sent between them is left out' if after > before else 'numbers never go back'}"
            )
    return faults


def _state_faults(account: Account, mine: list[Sent], known: list[tuple[int, int]]) -> list[str]:
    """The states against the transactions before them, and against each other where nothing was sent between them."""
    faults = []
    for height, number in known:
        earlier = [sent for sent in mine if sent[0] <= height]
        later = [sent for sent in mine if sent[0] > height]
        meant = earlier[-1][2] + 1 if earlier else later[0][2] if later else known[0][1]
        if number != meant:
            faults.append(
                f"{account[0]} account {account[1]} had sent {number} transactions after block {height}, the facts come to {meant}: "
                f"{'some are left out' if number > meant or not earlier else 'some are not its own'}"
            )
    return faults
