"""The first `esep.toml` of a pool: the commented template with a person's answers in it.

Enters: answers that were proved elsewhere (`app.begin`), the template. Leaves: the file's text. The template's own BIN and name are placeholders,
refused by every command (`load`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.model.message import message

from .toml_text import toml_lines, toml_string

PLACEHOLDER_BIN = "000000000000"
PLACEHOLDER_NAME = "ЖШС «Менің пулым»"


@dataclass(frozen=True)
class BeginWallet:
    """One wallet of the pool: public descriptors, or addresses."""

    name: str
    descriptors: Sequence[str] = ()
    addresses: Sequence[str] = ()


@dataclass(frozen=True)
class BeginChain:
    """One chain, its node and the pool's wallets on it."""

    chain: str
    network: str
    asset: str
    rpc_url: str
    wallets: Sequence[BeginWallet]
    cookie_file: str = ""
    user: str = ""
    password_file: str = ""
    start_height: int = 0
    finality: int | None = None


@dataclass(frozen=True)
class Beginning:
    """Everything that `esep init` asks."""

    key: str
    bin: str
    name: str
    chain: BeginChain
    payers: Mapping[str, str] = field(default_factory=dict)
    """The way of each payer: `on-chain` or `off-chain`."""
    profiles: Mapping[str, str] = field(default_factory=dict)
    """The profile of each table: `ledger.files.payments` is `excel-kk`."""
    first_month: str = ""


def placeholder_faults(bin_: str, name: str) -> list[str]:
    """What of the template's own pool still stands in the settings."""
    faults = []
    if bin_ == PLACEHOLDER_BIN:
        faults.append(message("pool.bin: {bin} is the template's placeholder: put in the pool's IIN/BIN", bin=repr(bin_)))
    if name == PLACEHOLDER_NAME:
        faults.append(message("pool.name: {name} is the template's placeholder: put in the pool's name", name=repr(name)))
    return faults


def settings_text(beginning: Beginning, template: str) -> str:
    """The template with the answers in it, still with a comment on every key."""
    text = _set(template, "pool", {"key": beginning.key, "bin": beginning.bin, "name": beginning.name})
    text = _with_chain(text, beginning.chain)
    if beginning.first_month:
        text = _set(text, "closing", {"first_month": beginning.first_month})
    own = "ledger.files.allocations"
    if own in beginning.profiles:
        text = _set(text, own, {"profile": beginning.profiles[own]})
    if beginning.payers:
        ways = {
            name: {"way": way, **({"chain": beginning.chain.chain} if way == "on-chain" else {})} for name, way in beginning.payers.items()
        }
        declared = "\n".join(line for name, table in ways.items() for line in toml_lines({name: table}, "payers")).strip()
        text = text.replace("\n# [payers.luxor]\n", f"\n{declared}\n\n# [payers.luxor]\n", 1)
    others = [f"[{table}]\nprofile = {toml_string(name)}\n" for table, name in beginning.profiles.items() if table != own]
    if others:
        text = text.replace("\n[registry]\n", "\n" + "\n".join(others) + "\n[registry]\n", 1)
    return text


def _with_chain(text: str, chain: BeginChain) -> str:
    """The template's table of a chain, and its wallets, replaced."""
    begin, end = text.index("\n[chains.bitcoin]\n") + 1, text.index("\n# An EVM chain, such as")
    table = text[begin:end]
    head = table[: table.index("\n[[chains.bitcoin.wallets]]\n") + 1]
    values: dict[str, str | int] = {"network": chain.network, "asset": chain.asset, "rpc_url": chain.rpc_url}
    for key in ("user", "password_file"):
        if getattr(chain, key):
            values[key] = getattr(chain, key)
    if chain.start_height:
        values["start_height"] = chain.start_height
    if chain.finality is not None:
        values["finality"] = chain.finality
    head = _set(head, "chains.bitcoin", values)
    cookie = f"cookie_file = {toml_string(chain.cookie_file)}" if chain.cookie_file else '# cookie_file = "~/.bitcoin/.cookie"'
    head = re.sub(r"(?m)^cookie_file = .*$", lambda _: cookie, head)
    wallets = []
    for wallet in chain.wallets:
        lines = ["[[chains.bitcoin.wallets]]", f"name = {toml_string(wallet.name)}"]
        for key, texts in (("descriptors", wallet.descriptors), ("addresses", wallet.addresses)):
            lines += [f"{key} = [", *(f"    {toml_string(one)}," for one in texts), "]"] if texts else []
        wallets.append("\n".join(lines) + "\n")
    made = head + "\n".join(wallets)
    made = made.replace("chains.bitcoin", f"chains.{chain.chain}").replace(
        "ESEP_CHAINS_BITCOIN", f"ESEP_CHAINS_{chain.chain.upper().replace('-', '_')}"
    )
    return text[:begin] + made + text[end:]


def _set(text: str, table: str, values: Mapping[str, str | int]) -> str:
    """The values of a table's keys; a key that stands behind # is given its value in place of the comment."""
    begin = text.index(f"[{table}]\n")
    following = re.search(r"(?m)^\[", text[begin + 1 :])
    end = begin + 1 + following.start() if following else len(text)
    body = text[begin:end]
    for key, value in values.items():
        line = f"{key} = {value if isinstance(value, int) else toml_string(value)}"
        body, count = re.subn(rf"(?m)^(# )?{key} = .*$", lambda _, line=line: line, body, count=1)  # type: ignore[misc]
        if not count:
            raise AssertionError(f"the template has no {key} in [{table}]")
    return text[:begin] + body + text[end:]
