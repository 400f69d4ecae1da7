"""The strategies of reading blocks, from fast to slow. All find exactly the same transactions.

Enters: a run of the main chain's blocks (height and hash), the watched scripts, the pool's outputs known so far. Leaves: by
height, the transactions that touch a watched script; a height that is absent has none.

| strategy | finds the blocks by | reads those by | needs |
|---|---|---|---|
| `scanblocks-rest` | block filters, in the node | REST | Core >= 30, -rest, -blockfilterindex |
| `rest` | searching the bytes of every block and of what it spends | the same bytes | Core >= 30, -rest |
| `scanblocks-rpc` | block filters, in the node | `getblock` 3 | Core >= 25, -blockfilterindex |
| `rpc-raw` | raw blocks: outputs, and inputs that spend outputs known from the log | `getblock` 3 | Core >= 25; all history |
| `rpc-verbose` | reads every block | `getblock` 3 | Core >= 25 |
| `own-outputs` | as `rpc-raw` | raw blocks; strangers' inputs by -txindex | a relative; all history |
| `txindex` | reads every block | raw blocks; every input by -txindex | a relative, -txindex |

"All history" means that the log begins before the wallets' first output: only then can every spend be recognised by
the output it spends. Filters have false positives but no false negatives. They are queried only for blocks `MARGIN`
deep, so that no reorganisation can happen during the query; newer blocks are read one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pipeline.chains.bitcoin.networks import Network
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Block, TxOutput, double_sha256
from pipeline.log.events.chain import Transaction
from pipeline.model.message import joined, message

from .chain_state import Outpoint, own_outputs
from .errors import AnswerUnreadable, BlockNotThere, ChainMoved, IndexBeingBuilt, NotOffered
from .fetch import FetchedBlock, Fetcher
from .node import Node, NodeFeatures
from .read_blocks import PAYEE, parsed_block, read_transactions
from .search import ScriptSearch

MARGIN = 16


class BlockRef(NamedTuple):
    height: int
    hash: str


class Watching(NamedTuple):
    """What is looked for."""

    scripts: Mapping[bytes, str]
    """Each watched script and its wallet, or PAYEE."""
    search: ScriptSearch
    spent: ScriptSearch
    """The pool's scripts alone: what a payee spends is not told, and a miner spends every day."""
    asset: str


def watching_for(scripts: Mapping[bytes, str], asset: str) -> Watching:
    """What is looked for, with its searches."""
    own = [script for script, wallet in scripts.items() if wallet != PAYEE]
    search = ScriptSearch(scripts)
    return Watching(scripts, search, search if len(own) == len(scripts) else ScriptSearch(own), asset)


KnownOutput = Callable[[Outpoint], TxOutput | None]
"""An output of the main chain, below the blocks being read, that pays a pool's script."""
Found = dict[int, list[Transaction]]


class Strategy(Protocol):
    name: str
    blocks_a_step: int
    """Blocks read per step before events are written: about a second's work."""

    def read(self, blocks: Sequence[BlockRef], watching: Watching, known: KnownOutput, tip_height: int) -> Found: ...


class SearchRest:
    """`rest`: every block's bytes are searched, only those with a hit are parsed.

    Of a block without a hit only the header and the number of transactions are checked.
    """

    name = "rest"
    blocks_a_step = 500

    def __init__(self, fetcher: Fetcher, network: Network) -> None:
        self._fetcher, self._network = fetcher, network

    def read(self, blocks: Sequence[BlockRef], watching: Watching, known: KnownOutput, tip_height: int) -> Found:
        found: Found = {}
        # The genesis block spends nothing and its output can't be spent: nodes have nothing to say about it.
        blocks = [block for block in blocks if block.height > 0]
        fetched = self._fetcher.prefetch(self._fetcher.rest_bytes, [block.hash for block in blocks])
        for block, (raw, raw_spent) in zip(blocks, fetched, strict=True):
            check_answers(block.hash, raw, raw_spent)
            spends = watching.spent.may_contain(raw_spent)
            if spends or watching.search.may_contain(raw):
                read = self._fetcher.read_rest(block.hash, raw, raw_spent if spends else None)
                _add_found(found, block, read, watching, self._network)
        return found


class ReadAll:
    """`rpc-verbose`: every block is fetched and parsed."""

    name = "rpc-verbose"
    blocks_a_step = 10

    def __init__(self, fetcher: Fetcher, network: Network, fetch: Callable[[str], FetchedBlock]) -> None:
        self._fetcher, self._network, self._fetch = fetcher, network, fetch

    def read(self, blocks: Sequence[BlockRef], watching: Watching, known: KnownOutput, tip_height: int) -> Found:
        found: Found = {}
        blocks = [block for block in blocks if block.height > 0]
        for block, fetched in zip(blocks, self._fetcher.prefetch(self._fetch, [block.hash for block in blocks]), strict=True):
            _add_found(found, block, fetched, watching, self._network)
        return found


class ScanFilters:
    """`scanblocks-…`: the node's block filters select the blocks, another strategy reads them."""

    blocks_a_step = 2000

    def __init__(self, name: str, node: Node, exact: Strategy) -> None:
        self.name, self._node, self._exact = name, node, exact

    def read(self, blocks: Sequence[BlockRef], watching: Watching, known: KnownOutput, tip_height: int) -> Found:
        reach = min(tip_height - MARGIN, self._node.filters_reach() if len(blocks) > MARGIN else -1)
        scanned = [block for block in blocks if 0 < block.height <= reach]
        rest = [block for block in blocks if block.height > max(reach, 0)]
        if scanned:
            named = self._scan(scanned, watching)
            rest = [block for block in scanned if block.hash in named] + rest
        return self._exact.read(rest, watching, known, tip_height)

    def _scan(self, blocks: list[BlockRef], watching: Watching) -> set[str]:
        first, last = blocks[0], blocks[-1]
        named = self._node.scan_filters(watching.scripts, first.height, last.height)
        if not named <= {block.hash for block in blocks} or self._node.hashes_at([first.height, last.height]) != [first.hash, last.hash]:
            raise ChainMoved(message("the chain changed under scanblocks"))
        return named


class FollowOutputs:
    """`rpc-raw`, `own-outputs`: searches raw blocks for the pool's outputs and for inputs that spend known ones."""

    def __init__(
        self, name: str, fetcher: Fetcher, network: Network, *, raw: Callable[[str], bytes], exact: Callable[[str], FetchedBlock] | None
    ) -> None:
        self.name = name
        self.blocks_a_step = 50
        self._fetcher, self._network, self._raw, self._exact = fetcher, network, raw, exact

    def read(self, blocks: Sequence[BlockRef], watching: Watching, known: KnownOutput, tip_height: int) -> Found:
        found: Found = {}
        created: dict[Outpoint, TxOutput] = {}

        def output_of(outpoint: Outpoint) -> TxOutput | None:
            return created.get(outpoint) or known(outpoint)

        blocks = [block for block in blocks if block.height > 0]
        for ref, raw in zip(blocks, self._fetcher.prefetch(self._raw, [block.hash for block in blocks]), strict=True):
            block = parsed_block(raw, ref.hash, self._network)
            positions = self._hits(block, watching, output_of, may_pay=watching.search.may_contain(raw))
            if not positions:
                continue
            spending = self._spending(block, positions, output_of, watching.scripts)
            # What strangers spend is asked of nobody: where the pool only receives, or a payee does, the block's bytes say it all.
            fetched = self._exact(ref.hash) if self._exact and spending else FetchedBlock(block, self._spent(block, spending, output_of))
            _add_found(found, ref, fetched, watching, self._network)
            created.update(own_outputs(found.get(ref.height, ()), self._network))
        return found

    def _hits(self, block: Block, watching: Watching, output_of: KnownOutput, *, may_pay: bool) -> list[int]:
        """Positions of the transactions that touch the pool; one may spend an output of an earlier one in the block."""
        positions = []
        new: set[Outpoint] = set()
        for position, tx in enumerate(block.transactions):
            hit = not tx.is_coinbase and any((o := (i.txid, i.vout)) in new or output_of(o) is not None for i in tx.inputs)
            if may_pay:
                paid = [vout for vout, output in enumerate(tx.outputs) if output.script in watching.scripts]
                new.update((tx.txid, vout) for vout in paid)
                hit = hit or bool(paid)
            if hit:
                positions.append(position)
        return positions

    def _spending(self, block: Block, positions: Sequence[int], output_of: KnownOutput, scripts: Mapping[bytes, str]) -> list[int]:
        """Those of the positions whose transactions spend an output of the pool's."""
        inside = {tx.txid: tx.outputs for tx in block.transactions}

        def is_ours(outpoint: Outpoint) -> bool:
            output = inside[outpoint[0]][outpoint[1]] if outpoint[0] in inside else None
            return output_of(outpoint) is not None or (output is not None and scripts.get(output.script, PAYEE) != PAYEE)

        return [
            position
            for position in positions
            if not block.transactions[position].is_coinbase and any(is_ours((i.txid, i.vout)) for i in block.transactions[position].inputs)
        ]

    def _spent(self, block: Block, spending: Sequence[int], output_of: KnownOutput) -> Mapping[int, Sequence[TxOutput]]:
        """What those transactions spend: the pool's outputs from the log, those of the same block from it, the rest by txindex."""
        if not spending:
            return {}
        inside = {tx.txid: tx.outputs for tx in block.transactions}
        outputs: dict[Outpoint, TxOutput] = {}
        unknown: list[Outpoint] = []
        for outpoint in ((i.txid, i.vout) for position in spending for i in block.transactions[position].inputs):
            output = output_of(outpoint) or (inside[outpoint[0]][outpoint[1]] if outpoint[0] in inside else None)
            if output is None:
                unknown.append(outpoint)
            else:
                outputs[outpoint] = output
        outputs.update(self._fetcher.spent_by_txindex(unknown))
        return {position: [outputs[i.txid, i.vout] for i in block.transactions[position].inputs] for position in spending}


def _read_by_txindex(fetcher: Fetcher, network: Network) -> Callable[[str], FetchedBlock]:
    """`txindex`: a block with all outputs it spends, looked up transaction by transaction."""

    def fetch(block_hash: str) -> FetchedBlock:
        block = parsed_block(fetcher.rpc_raw(block_hash), block_hash, network)
        inside = {tx.txid: tx.outputs for tx in block.transactions}
        wanted = [(i.txid, i.vout) for tx in block.transactions[1:] for i in tx.inputs]
        outputs = fetcher.spent_by_txindex([outpoint for outpoint in wanted if outpoint[0] not in inside])
        spent = {
            position: [inside[i.txid][i.vout] if i.txid in inside else outputs[i.txid, i.vout] for i in tx.inputs]
            for position, tx in enumerate(block.transactions)
            if position
        }
        return FetchedBlock(block, spent)

    return fetch


def check_answers(block_hash: str, raw: bytes, raw_spent: bytes) -> None:
    """Check, without parsing them, that both answers are about the block asked for. Raises AnswerUnreadable."""
    if double_sha256(raw[:HEADER_SIZE])[::-1].hex() != block_hash:
        raise AnswerUnreadable(
            message("the node was asked for block {block_hash}, and answered with something else", block_hash=block_hash)
        )
    width = {0xFD: 3, 0xFE: 5, 0xFF: 9}.get(raw[HEADER_SIZE] if len(raw) > HEADER_SIZE else 0, 1)
    if raw[HEADER_SIZE : HEADER_SIZE + width] != raw_spent[:width]:
        raise AnswerUnreadable(
            message("block {block_hash}: what the node says it spends is of another number of transactions", block_hash=block_hash)
        )


def _add_found(found: Found, ref: BlockRef, fetched: FetchedBlock, watching: Watching, network: Network) -> None:
    transactions = read_transactions(fetched.block, fetched.spent, watching.scripts, network, watching.asset)
    if transactions:
        found[ref.height] = transactions


# --- the choice ----------------------------------------------------------------------------------------------------


class Choice(NamedTuple):
    """The strategy in use, and the reason for it."""

    strategy: Strategy
    why: str


NAMES = ("scanblocks-rest", "rest", "scanblocks-rpc", "rpc-raw", "rpc-verbose", "own-outputs", "txindex")


def missing_features(name: str, features: NodeFeatures, *, has_all_history: bool) -> str | None:
    """What the node lacks for a strategy; None when nothing."""
    history = None if has_all_history else message("start_height is above 1, so outputs from before it can't be known by their spends")
    prevouts = (
        None
        if features.has_prevouts
        else message(
            "getblock 3 needs Bitcoin Core >= 25, the node is {subversion} {version}",
            subversion=features.subversion,
            version=features.version,
        )
    )
    filters = (
        None if features.has_filters else message("there is no block filter index (blockfilterindex=1), or no scanblocks (Core >= 25)")
    )
    spent = None if features.has_rest_spent else message("REST is off (rest=1), or has no spenttxouts (Core >= 30)")
    if features.lacks_undo_data:
        spent = message("the undo data of the newest block is not there yet, and REST is tried again at the next one")
    return {
        "scanblocks-rest": filters or spent,
        "rest": spent,
        "scanblocks-rpc": filters or prevouts,
        "rpc-raw": prevouts or history,
        "rpc-verbose": prevouts,
        "own-outputs": history,
        "txindex": None if features.has_txindex else _index_lack(features),
    }[name]


def _index_lack(features: NodeFeatures) -> str:
    if _is_txindex_building(features):
        return message("the index of transactions (txindex) is still being built")
    return message("there is no index of transactions (txindex=1)")


def _is_txindex_building(features: NodeFeatures) -> bool:
    return any(each.name == "txindex" for each in features.building)


def choose(wanted: str, rest: str, features: NodeFeatures, node: Node, fetcher: Fetcher, *, has_all_history: bool) -> Choice:
    """The fastest strategy the node offers, or the one `wanted` by name. Raises NotOffered, IndexBeingBuilt."""
    network = node.network
    if rest == "on" and not features.has_rest:
        raise NotOffered(
            message(
                "the node at {name} does not answer by REST, and `rest` is on: start it with rest=1, or set `rest` to auto", name=node.name
            )
        )
    lacks = {name: missing_features(name, features, has_all_history=has_all_history) for name in NAMES}
    if wanted != "auto":
        if lacks[wanted] and features.lacks_undo_data and wanted in ("rest", "scanblocks-rest"):
            raise BlockNotThere(node.name, "/rest/spenttxouts", lacks[wanted] or "")
        if lacks[wanted] and wanted == "txindex" and _is_txindex_building(features):
            raise IndexBeingBuilt(node.name, features.building_height("txindex"))
        if lacks[wanted]:
            raise NotOffered(
                message(
                    "strategy {wanted} can't be used with the node at {name}: {lacks}; or set strategy to auto",
                    wanted=repr(wanted),
                    name=node.name,
                    lacks=lacks[wanted],
                )
            )
        return Choice(_build(wanted, features, node, fetcher, network), message("asked for by name"))
    passed: list[str] = []
    for name in NAMES:
        if lacks[name] is None:
            return Choice(_build(name, features, node, fetcher, network), joined("; ", passed) or message("the node offers all it needs"))
        passed.append(message("not {name}: {lacks}", name=name, lacks=lacks[name]))
    if _is_txindex_building(features):
        raise IndexBeingBuilt(node.name, features.building_height("txindex"))
    raise NotOffered(
        message("the node at {name} offers no exact way to read blocks: {passed}", name=node.name, passed=joined("; ", passed))
    )


def _build(name: str, features: NodeFeatures, node: Node, fetcher: Fetcher, network: Network) -> Strategy:
    verbose = ReadAll(fetcher, network, fetcher.verbose)
    raw = fetcher.rest_raw if features.has_rest else fetcher.rpc_raw
    match name:
        case "scanblocks-rest":
            return ScanFilters(name, node, SearchRest(fetcher, network))
        case "rest":
            return SearchRest(fetcher, network)
        case "scanblocks-rpc":
            return ScanFilters(name, node, verbose)
        case "rpc-raw":
            return FollowOutputs(name, fetcher, network, raw=raw, exact=fetcher.verbose)
        case "rpc-verbose":
            return verbose
        case "own-outputs":
            return FollowOutputs(name, fetcher, network, raw=raw, exact=None)
        case _:
            by_index = ReadAll(fetcher, network, _read_by_txindex(fetcher, network))
            by_index.name = name
            return by_index
