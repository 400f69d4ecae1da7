"""Whether transactions that the ledger names are on the chain, by the pool's own node: for advice only, nothing is judged by it.

Enters: a chain and txids. Leaves: what the node knows of each; nothing where it can't tell. Bitcoin and its like, with `-txindex` for a "no".
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from connectors.bitcoin.errors import RpcError
from connectors.bitcoin.rpc import Credentials, NodeConnection
from pipeline.chains.networks import is_account_network
from pipeline.model.errors import EsepError

from .app import App

MOST_ASKED = 50
SHORT_S = 5.0


class _Index(msgspec.Struct):
    synced: bool = False


class _Indexes(msgspec.Struct):
    txindex: _Index | None = None


class _Transaction(msgspec.Struct):
    blockhash: str | None = None


def transactions_on_chain(app: App, chain: str, txids: Iterable[str]) -> dict[str, bool]:
    """True: it is in a block. False: the node has an index of all transactions, and this one is not in it. What is not told is absent; the node may be away."""
    ours = app.settings.chains.get(chain)
    asked = sorted(set(txids))[:MOST_ASKED]
    if ours is None or not asked or is_account_network(ours.network):
        return {}
    password = ours.password.get_secret_value() if ours.password else None
    login = Credentials(cookie_path=ours.cookie_file, user=ours.user, password=password)
    connection = NodeConnection(ours.rpc_url[0], login, timeout_s=SHORT_S)
    found: dict[str, bool] = {}
    try:
        index = connection.call("getindexinfo", result=_Indexes).txindex
        for txid in asked:
            try:
                found[txid] = connection.call("getrawtransaction", txid, True, result=_Transaction).blockhash is not None
            except RpcError as error:
                if index is not None and index.synced and error.code == RpcError.NOT_FOUND:
                    found[txid] = False
    except (EsepError, OSError):
        return found
    finally:
        connection.close()
    return found
