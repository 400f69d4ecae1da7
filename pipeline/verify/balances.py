"""What the pool's accounts held, by the state under the headers (account chains, rule 3.4): proofs, the facts that rest on them, and what moved between them.

Enters: a bundle's account proofs, headers and facts. Leaves: faults; how many balances are proved; and by name what rests on the node's word: balances without a proof,
blocks of the pool's transactions around which no state is proved. Tokens' balances lie in their contracts' own storage and are not proved here.
"""

from __future__ import annotations

import polars as pl

from pipeline.chains.evidence import AccountProof
from pipeline.chains.evm.headers import parse_header
from pipeline.chains.evm.networks import AccountNetwork
from pipeline.chains.evm.trie import account_balance
from pipeline.enrich.state import changes, differing
from pipeline.model.message import message

from .finding import Finding
from .opened import OpenBundle

SHOWN = 20
Place = tuple[str, int, str]
"""Chain, height, address."""


def check_balances(bundle: OpenBundle) -> Finding:
    """Proved balances are those of the facts, and change by what the facts say."""
    chains = {chain for chain, network in bundle.networks.items() if isinstance(network, AccountNetwork)}
    if not chains and not bundle.evidence.accounts:
        return Finding([], "")
    proved, faults = _prove(bundle)
    faults += _facts_faults(bundle, proved)
    looked = changes(bundle.facts)
    waived = {waiver["ref"].removeprefix(f"{chain}:"): waiver for waiver in bundle.manifest["waivers"] for chain in ("", *chains) if waiver["code"] == "wallet-does-not-balance"}  # fmt: skip
    on_word = _on_word(bundle, looked, chains)
    for ref, detail in differing(looked).select("ref", "detail").iter_rows():
        if (waiver := waived.get(ref)) is None:
            faults.append(detail)
        else:
            on_word.append(message("{detail}: let pass by {by} ({reason})", detail=detail, by=waiver["by"], reason=waiver["reason"]))
    seen = ""
    if proved:
        seen = message(
            "{count} balances lie under their headers' state roots; over {n_unique} blocks they change by what was moved",
            count=len(proved),
            n_unique=looked.select("chain", "height").n_unique(),
        )
    return Finding(faults, seen, on_word=tuple(on_word))


def _prove(bundle: OpenBundle) -> tuple[dict[Place, int], list[str]]:
    """What each proof shows, and what is wrong with proofs."""
    headers = {(chain, height): (hash_, raw) for chain, height, hash_, raw in bundle.evidence.headers.select("chain", "height", "hash", "header").iter_rows()}  # fmt: skip
    proved: dict[Place, int] = {}
    faults: list[str] = []
    for proof in bundle.evidence.accounts:
        try:
            if not isinstance(bundle.networks.get(proof.chain), AccountNetwork):
                raise ValueError(message("its chain has no accounts"))
            place = (proof.chain, proof.height, proof.address)
            if place in proved:
                raise ValueError(message("is proved twice"))
            root = parse_header(header_of_account(proof, headers)).state_root
            proved[place] = account_balance(root, proof.address, [bytes.fromhex(node) for node in proof.proof])
        except ValueError as error:
            faults.append(
                message(
                    "{chain} account {address} after block {height}: {error}",
                    chain=proof.chain,
                    address=proof.address,
                    height=proof.height,
                    error=error,
                )
            )
    return proved, faults


def header_of_account(proof: AccountProof, headers: dict[tuple[str, int], tuple[str, str]]) -> bytes:
    """The header under which it stands: among the bundle's, or its own where the first of these follows it. Raises ValueError for any other."""
    known = headers.get((proof.chain, proof.height))
    if known is not None:
        if known[0] != proof.block_hash:
            raise ValueError(message("block {block_hash} is not among the headers", block_hash=proof.block_hash))
        return bytes.fromhex(known[1])
    following = headers.get((proof.chain, proof.height + 1))
    if proof.header is None or following is None:
        raise ValueError(message("block {block_hash} is not among the headers", block_hash=proof.block_hash))
    raw = bytes.fromhex(proof.header)
    own = parse_header(raw)
    if (own.hash, own.number) != (proof.block_hash, proof.height) or parse_header(bytes.fromhex(following[1])).prev != own.hash:
        raise ValueError(message("block {block_hash} is not the one that the headers follow", block_hash=proof.block_hash))
    return raw


def _facts_faults(bundle: OpenBundle, proved: dict[Place, int]) -> list[str]:
    """The facts' balances of the chain's own asset against the proofs, both ways."""
    native = {asset.chain: asset.name for asset in bundle.rules.assets.values() if asset.contract is None}
    facts, faults = bundle.facts, []
    columns = ["chain", "height", "address", "asset", "value"]
    told: set[Place] = set()
    for chain, height, address, asset, value in facts.proved_balances.select(columns).iter_rows():
        place = (chain, height, address)
        told.add(place)
        if place not in proved:
            faults.append(
                message(
                    "{chain} account {address} after block {height}: the facts call what it held proved, and nothing proves it",
                    chain=chain,
                    address=address,
                    height=height,
                )
            )
        elif (asset, value) != (native.get(chain), proved[place]):
            faults.append(
                message(
                    "{chain} account {address} held {proved} after block {height}, the facts say {value} {asset}",
                    chain=chain,
                    address=address,
                    proved=proved[place],
                    height=height,
                    value=value,
                    asset=asset,
                )
            )
    faults += [message("{chain} account {address} after block {height} is proved, but the facts leave it out", chain=chain, address=address, height=height) for chain, height, address in sorted(set(proved) - told)]  # fmt: skip
    for chain, height, address, asset, value in facts.observations.select(columns).iter_rows():
        shown = proved.get((chain, height, address))
        if shown is not None and asset == native.get(chain) and value is not None and value != shown:
            faults.append(
                message(
                    "{chain} account {address} held {shown} after block {height}, the balance told there is {value}",
                    chain=chain,
                    address=address,
                    shown=shown,
                    height=height,
                    value=value,
                )
            )
    return faults


def _on_word(bundle: OpenBundle, looked: pl.DataFrame, chains: set[str]) -> list[str]:
    """What no state in the bundle proves: balances that were told, and blocks that moved the chain's own asset of an address."""
    facts, words = bundle.facts, []
    native = pl.DataFrame([(a.chain, a.name) for a in bundle.rules.assets.values() if a.contract is None and a.chain in chains], schema={"chain": pl.String, "asset": pl.String}, orient="row")  # fmt: skip
    place = ["chain", "block_hash", "address"]
    bare = facts.observations.filter(pl.col("value").is_not_null()).join(facts.proved_balances, on=[*place, "asset"], how="anti")
    if bare.height:
        words.append(
            message("{height} balances after months' last blocks: the node's word, no state under a header proves them", height=bare.height)
        )
    parts = [frame.filter(pl.col("wallet").is_not_null()).join(native, on=["chain", "asset"], how="semi") for frame in (facts.inputs, facts.outputs)]  # fmt: skip
    moved = pl.concat([part.select(place) for part in parts]).unique()
    if unproved := moved.join(looked, on=place, how="anti").height:
        words.append(message("what {unproved} accounts held before and after a block that moved some of it: no state proves it, the transfers are the node's word", unproved=unproved))  # fmt: skip
    return words
