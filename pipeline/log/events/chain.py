"""The events of topic `chain`: blocks that joined and left the main chain, with their transactions that touch the pool.

Facts only (law 3): what the transactions mean is decided in enrichment. Account chains (EVM) use the same events (ADR 7).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from .parts import Count, Event, Hash, Height, Id, SequenceNumber, Text, Units, UnixSeconds, check_same_length


class WatchedWallet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pool wallet as it is watched."""

    name: Id
    addresses: list[Id] = []
    descriptors: list[Text] = []
    descriptor_range: Annotated[int, Meta(ge=0, description="ranged descriptors are watched at indexes 0 … this - 1")] = 0


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of a pool wallet that a transaction spends."""

    txid: Hash
    vout: Count
    value: Units
    address: Id | None
    wallet: Id
    asset: Id
    held: Annotated[
        Units | None,
        Meta(
            description="of a token that no settings name, in a stranger's transaction: what its contract says that the address held before the block; null: not asked, or not known"
        ),
    ] = None
    held_after: Annotated[Units | None, Meta(description="of the same: what the contract says that it held after the block")] = None
    signed_by: Annotated[str | None, Meta(description="of the same: the account that signed the transaction")] = None


class Output(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of a transaction, the pool's or not."""

    vout: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="place within the transaction; on EVM chains the running number of its movements")
    ]
    value: Units
    address: Id | None
    wallet: Id | None = None
    asset: Id
    script_type: Annotated[Id, Meta(description="Bitcoin Core's name of the script's type: pubkeyhash, nulldata, witness_v1_taproot, …")]
    is_unspendable: Annotated[bool, Meta(description="no one can ever spend it: an OP_RETURN script, whatever follows it")] = False
    ref: Annotated[Text, Meta(description="where the movement stands on chain: `vout:3`; `log:7`; `call:0.2`")]


class Transaction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transaction that spends from, or pays to, a pool wallet."""

    txid: Hash
    position: Annotated[int, Meta(ge=0, le=2**31 - 1, description="index within the block")]
    is_coinbase: bool
    inputs: Annotated[list[Input], Meta(description="only those that are the pool's")]
    other_inputs: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="how many inputs are not the pool's; a coinbase's own is not counted")
    ]
    other_inputs_value: Units
    outputs: Annotated[list[Output], Meta(description="every one")]
    fee: Annotated[Units, Meta(description="inputs - outputs; 0 for a coinbase")]
    fee_asset: Id
    raw: Annotated[
        str | None, Meta(description="hex: without witnesses, its double SHA-256 is the txid; on account chains signed, its Keccak-256 is")
    ] = None
    branch: Annotated[list[Hash] | None, Meta(description="Merkle branch from the transaction up to the header's root")] = None
    fee_wallet: Annotated[str | None, Meta(description="the pool wallet that bears the whole fee; null: shared over inputs (rule 9.5)")] = (
        None
    )
    receipt: Annotated[str | None, Meta(description="account chains: the receipt as the header's root hashes it, hex")] = None
    transaction_proof: Annotated[list[str] | None, Meta(description="account chains: nodes of the transactions' trie, root first, hex")] = (
        None
    )
    receipt_proof: Annotated[list[str] | None, Meta(description="account chains: nodes of the receipts' trie, root first, hex")] = None


class Watch(Event, tag="watch", frozen=True, kw_only=True):
    """The wallets watched from here on, and where reading the chain begins."""

    seq: SequenceNumber
    chain: Id
    network: Id
    start_height: Height
    wallets: list[WatchedWallet]
    internal_calls: Annotated[
        str | None, Meta(description="account chains: how calls inside transactions are read, or that they are not")
    ] = None
    wrapped: Annotated[
        list[str],
        Meta(description="account chains: contracts of wrapped coins, whose `Deposit` and `Withdrawal` logs are told as a mint and a burn"),
    ] = field(default_factory=list)
    authorizations_from: Annotated[
        Height | None,
        Meta(
            description="account chains: from this block on, transactions that carry an authorization of code by a watched address (EIP-7702) are told, whoever sent them; null: not"
        ),
    ] = None
    payees: Annotated[
        list[str], Meta(description="addresses that are no pool wallet's: transactions that pay them are told, too (rule 10.2)")
    ] = field(default_factory=list)


class Connect(Event, tag="connect", frozen=True, kw_only=True):
    """A block joined the main chain."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    prev: Hash
    time: UnixSeconds
    mediantime: UnixSeconds
    header: Annotated[str | None, Meta(description="the block's header, hex: its hash is `hash`")] = None
    transactions: list[Transaction]


class Stretch(Event, tag="stretch", frozen=True, kw_only=True):
    """Consecutive blocks that joined the main chain without a transaction of the pool; all lists have one length."""

    seq: SequenceNumber
    chain: Id
    height: Annotated[int, Meta(ge=0, le=2**62, description="of the first")]
    prev: Annotated[Hash, Meta(description="of the first; each next one's is the hash before it")]
    hash: list[Hash]
    time: list[UnixSeconds]
    mediantime: list[UnixSeconds]
    header: list[str | None]

    def __post_init__(self) -> None:
        check_same_length(self, "hash", "time", "mediantime", "header")


class Disconnect(Event, tag="disconnect", frozen=True, kw_only=True):
    """The main chain's last block left it."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    prev: Annotated[Hash, Meta(description="the last block of the main chain after this event")]


class BalanceColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Balances on account chains, one list per column; null where the node no longer has the state."""

    wallet: list[Id]
    address: list[Id]
    asset: list[Id]
    value: list[Units | None]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class Balances(Event, tag="balances", frozen=True, kw_only=True):
    """What every watched address held after the main chain's last block (before the first block: after the one below it)."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    rows: BalanceColumns


class AccountColumns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What accounts held, a column a list, each with its proof under the block's state root."""

    wallet: list[Id]
    address: list[Id]
    value: list[Units]
    proof: Annotated[list[list[str]], Meta(description="nodes of the state's trie, root first, hex")]

    def __post_init__(self) -> None:
        check_same_length(self, *self.__struct_fields__)


class Accounts(Event, tag="accounts", frozen=True, kw_only=True):
    """What some watched addresses held of the chain's own asset after the main chain's last block (or the one below the first), proved by its header."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    asset: Id
    header: Annotated[str | None, Meta(description="the block's header, hex, where no event of a block has it: below the first")] = None
    rows: AccountColumns


class Doubt(Event, tag="doubt", frozen=True, kw_only=True):
    """What a node said of a block was contradicted: by its second reading, and the events after this one give the block again; or, of one transaction, by another witness."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    time: UnixSeconds
    detail: Text
    txid: Annotated[
        Hash | None,
        Meta(
            description="account chains: the transaction whose internal calls two witnesses tell differently; null: the block was told otherwise"
        ),
    ] = None


class Witnessed(Event, tag="witnessed", frozen=True, kw_only=True):
    """Consecutive blocks of the main chain, of which these nodes say the same about the pool (ADR 20)."""

    seq: SequenceNumber
    chain: Id
    height: Annotated[int, Meta(ge=0, le=2**62, description="of the first")]
    last: Annotated[int, Meta(ge=0, le=2**62, description="height of the last")]
    hash: Annotated[Hash, Meta(description="of the last")]
    nodes: Annotated[list[Text], Meta(min_length=1, description="addresses of the nodes, the followed one first")]
    reason: Annotated[Text, Meta(description="why there was one node only; empty with more")] = ""


class Disagreed(Event, tag="disagreed", frozen=True, kw_only=True):
    """Two nodes say different things of the pool's transactions in a block of the main chain (ADR 20)."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    time: UnixSeconds
    nodes: Annotated[list[Text], Meta(description="addresses of the nodes, the followed one first")]
    answers: Annotated[list[Text], Meta(description="what each says, as JSON, cut where it is long")]

    def __post_init__(self) -> None:
        check_same_length(self, "nodes", "answers")


class Retold(Event, tag="retold", frozen=True, kw_only=True):
    """Transactions of a block that is in the main chain already, told after it: the ledger names them (rule 10.2). Each takes the place of what was told of it before."""

    seq: SequenceNumber
    chain: Id
    height: Height
    hash: Hash
    transactions: Annotated[list[Transaction], Meta(min_length=1)]


class Sought(Event, tag="sought", frozen=True, kw_only=True):
    """Transactions that payments of on-chain payers name: they were looked for from the start of reading up to the main chain's last block, and are in every later one.

    Those that the node did not know are asked for again: once it knows one, another `sought` event names it.
    """

    seq: SequenceNumber
    chain: Id
    height: Annotated[Height, Meta(description="of the main chain's last block")]
    hash: Annotated[Hash, Meta(description="of the same")]
    txids: Annotated[list[Hash], Meta(min_length=1, description="only those that no event named before, or that were unknown so far")]
    unknown: Annotated[list[Hash], Meta(description="those of them that the node had in no block up to here: they are asked for again")] = (
        field(default_factory=list)
    )


class NotTraced(Event, tag="not-traced", frozen=True, kw_only=True):
    """Of transactions that an earlier `sought` event names, and that are in the blocks after this event, or in one before it where the node did not know them then, the node could not trace the calls: they are told in none of these blocks, and count as not looked for until another `sought` event names them."""

    seq: SequenceNumber
    chain: Id
    height: Annotated[Height, Meta(description="of the main chain's last block before them")]
    hash: Annotated[Hash, Meta(description="of the same")]
    txids: Annotated[list[Hash], Meta(min_length=1)]


class FoundAt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which block of the main chain a transaction stands."""

    txid: Hash
    height: Height


class Searched(Event, tag="searched", frozen=True, kw_only=True):
    """How far the main chain's blocks were searched, from the first one on, for what came later than they: after a crash the search goes on from here. It tells nothing of the pool."""

    seq: SequenceNumber
    chain: Id
    height: Annotated[Height, Meta(description="of the last block searched")]
    hash: Annotated[Hash, Meta(description="of the same")]
    wallets: Annotated[
        list[WatchedWallet], Meta(description="the wallets that the next `watch` event names: no block so far has what is new of them")
    ] = field(default_factory=list)
    payees: Annotated[list[str], Meta(description="addresses that the next `watch` event adds: no block so far pays them")] = field(
        default_factory=list
    )
    wrapped: Annotated[list[str], Meta(description="account chains: contracts of wrapped coins, as in `watch`")] = field(
        default_factory=list
    )
    txids: Annotated[list[Hash], Meta(description="account chains: transactions that are looked for, in place of wallets")] = field(
        default_factory=list
    )
    found: Annotated[list[FoundAt], Meta(description="those of them that the blocks so far have")] = field(default_factory=list)


ChainEvent = (
    Watch | Connect | Stretch | Disconnect | Balances | Accounts | Doubt | Witnessed | Disagreed | Retold | Sought | NotTraced | Searched
)
