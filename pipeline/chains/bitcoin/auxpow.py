"""Merged mining (Dogecoin since its block 371,337): the proof that follows a header, by which the work of another chain's block counts for it.

Enters: a header's bytes with its proof, as nodes give them. Leaves: the header's own 80 bytes, and why the proof does not hold. It shows that the parent
block's coinbase commits to this header at the one place that this chain has, and that the parent's hash meets this header's target. Whether the parent stands
in its own chain is not asked by the rules either. Where a node's block says so (version bit 8 unset), the header has work of its own.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from .merkle import target_of
from .networks import Network
from .sizes import counted
from .wire import AUXPOW_VERSION, HEADER_SIZE, Tx, double_sha256, end_of_header, walk

MERGED_MINING = b"\xfa\xbemm"
"""Stands before the root of the merged chains in the parent's coinbase."""
MAX_BRANCH = 30
EARLY = 20
"""Without `MERGED_MINING` the root must begin within so many bytes of the coinbase's script."""


class AuxPow(NamedTuple):
    """Merged mining's proof: the parent's coinbase, both Merkle branches (hashes in the wire's order), and the parent's header."""

    coinbase: Tx
    coinbase_branch: list[bytes]
    coinbase_index: int
    chain_branch: list[bytes]
    chain_index: int
    parent: bytes


def bare_header(raw: bytes, network: Network) -> bytes:
    """A header's own 80 bytes, without the proof that may follow it on networks of merged mining; on others all of the bytes."""
    return raw[:HEADER_SIZE] if network.pow == "scrypt-auxpow" else raw


def is_merge_mined(raw: bytes) -> bool:
    """Whether the header says that a proof of merged mining belongs to it."""
    return bool(int.from_bytes(raw[:4], "little") & AUXPOW_VERSION)


def parse_auxpow(raw: bytes, network: Network) -> AuxPow | None:
    """The proof that follows a header, to the last byte; None where the header says that it has none. Raises ValueError for anything else."""
    if not is_merge_mined(raw):
        if len(raw) != HEADER_SIZE:
            raise ValueError(f"{len(raw) - HEADER_SIZE} bytes follow a header that is not merge-mined")
        return None
    if end_of_header(raw, 0, network) != len(raw):
        raise ValueError("bytes are left over after the auxiliary proof of work")
    coinbase = walk(raw, HEADER_SIZE, 0, has_mweb=network.has_mweb)
    position = coinbase._end + 32
    branches: list[tuple[list[bytes], int]] = []
    for _ in range(2):
        count, position = counted(raw, position, 32, "Merkle hashes")
        hashes = [raw[position + 32 * n : position + 32 * (n + 1)] for n in range(count)]
        position += 32 * count + 4
        branches.append((hashes, int.from_bytes(raw[position - 4 : position], "little")))
    return AuxPow(coinbase, *branches[0], *branches[1], raw[position:])


def auxpow_fault(raw: bytes, network: Network) -> str:
    """Why the header with its proof has no work that the network would take; "" where it has."""
    header = raw[:HEADER_SIZE]
    target = target_of(int.from_bytes(header[72:76], "little"))
    if not 0 < target <= network.pow_limit:
        return "its target is none that the network allows"
    proof = parse_auxpow(raw, network)
    if proof is None:
        return "" if scrypt_of(header) <= target else "its hash does not meet the target of its proof of work"
    chain_id = int.from_bytes(header[:4], "little") >> 16
    if chain_id != network.facts.merged_mining_id:
        return f"it is of the merged chain {chain_id}, not of {network.name}"
    if int.from_bytes(proof.parent[:4], "little") >> 16 == chain_id:
        return "the parent of its proof of work is of its own chain"
    if proof.coinbase_index or len(proof.chain_branch) > MAX_BRANCH:
        return "its proof of work does not begin in the parent's coinbase"
    if _root(double_sha256(proof.coinbase.raw_stripped), proof.coinbase_branch, 0) != proof.parent[36:68]:
        return "the coinbase of its proof of work is not in the parent block"
    root = _root(double_sha256(header), proof.chain_branch, proof.chain_index)
    fault = _commitment_fault(proof.coinbase.inputs[0].script_sig, root[::-1], len(proof.chain_branch), proof.chain_index, chain_id)
    if fault:
        return fault
    return "" if scrypt_of(proof.parent) <= target else "the parent's hash does not meet the target of its proof of work"


def scrypt_of(header: bytes) -> int:
    """The number that is held against a target."""
    return int.from_bytes(hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32), "little")


def expected_index(nonce: int, chain_id: int, height: int) -> int:
    """The one place of a chain among 2**height merged ones, so that work counts once."""
    rand = (nonce * 1103515245 + 12345 + chain_id) & 0xFFFFFFFF
    return ((rand * 1103515245 + 12345) & 0xFFFFFFFF) % (1 << height)


def _root(node: bytes, branch: list[bytes], index: int) -> bytes:
    for neighbour in branch:
        node = double_sha256(neighbour + node) if index & 1 else double_sha256(node + neighbour)
        index >>= 1
    return node


def _commitment_fault(script: bytes, root: bytes, height: int, index: int, chain_id: int) -> str:
    """Why the coinbase's script does not commit to the root of the merged chains once, at this chain's place."""
    head, place = script.find(MERGED_MINING), script.find(root)
    if place < 0:
        return "the parent's coinbase does not name it"
    if head >= 0:
        if script.find(MERGED_MINING, head + 1) >= 0:
            return "the parent's coinbase names merged chains twice"
        if head + len(MERGED_MINING) != place:
            return "the parent's coinbase names another root of merged chains"
    elif place > EARLY:
        return "the parent's coinbase names it too late"
    rest = script[place + len(root) : place + len(root) + 8]
    if len(rest) < 8 or int.from_bytes(rest[:4], "little") != 1 << height:
        return "the number of merged chains is another one in the parent's coinbase"
    if index != expected_index(int.from_bytes(rest[4:], "little"), chain_id, height):
        return "it stands at another chain's place among the merged ones"
    return ""
