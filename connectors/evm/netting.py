"""From a transaction's movements to the inputs and outputs of its event (ADR 7). Pure.

Every movement out of a pool wallet is an input, every movement into one an output. For each asset in which a pool wallet was
debited, the other addresses are netted: one that only receives has each movement as an output; one that also sends has one output of
its net gain, if any; one with a net loss counts among the other inputs. So for each asset inputs (and other inputs) = outputs
(and fee). Where no pool wallet was debited, those who paid the pool count among the other inputs. A transaction of an on-chain payer (rule 10.2) is told
whole: where it takes nothing from the pool, everybody's net gains are outputs, and net losses other inputs.
`other_inputs_value` is in the fee's asset: units of several assets don't add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pipeline.log.events.chain import Input, Output
from pipeline.model.errors import SourceError

from .movements import Movement

MAX_UNITS = 10**38 - 1
"""The largest amount that an event can carry."""
SCRIPT_TYPE = "account"


@dataclass(frozen=True)
class NettedTransaction:
    """A transaction's movements as inputs and outputs."""

    inputs: list[Input]
    outputs: list[Output]
    other_inputs: int
    other_inputs_value: int


def net(  # noqa: PLR0913 - each says one thing of the transaction or of the pool
    txid: str,
    movements: Sequence[Movement],
    watched: Mapping[str, str],
    *,
    asset: str,
    known: frozenset[str],
    fee: int = 0,
    fee_payer: str | None = None,
    wrapped: Mapping[str, str] = MappingProxyType({}),
    is_sought: bool = False,
) -> NettedTransaction | None:
    """The transaction's inputs and outputs, or None when it does not touch the pool.

    `watched`: the wallet of each pool address; `fee_payer`: the pool address that pays `fee` (ADR 7); `known`: the assets whose
    amounts must be exact. An unknown token's amount of more than 38 digits is capped at 38 nines, since its contract may claim
    anything. `wrapped`: the contracts of wrapped coins, with the coins' names: what such a contract pays for its coins that the pool gave back
    is the pool's own, and no other input. `is_sought`: it is told whoever it touches. Raises SourceError for such an amount of a known asset.
    """
    if fee_payer is None and not is_sought and not any(m.sender in watched or m.recipient in watched for m in movements):
        return None
    debited = {m.asset for m in movements if m.sender in watched}
    if is_sought and fee_payer is None and not debited:
        debited = {m.asset for m in movements}
    receive, pass_on, gains = _other_parties(movements, watched)
    inputs: list[Input] = []
    outputs: list[Output] = []
    for m in movements:
        value = _units(m.value, m.asset, txid, known)
        if m.sender is not None and m.sender in watched:
            inputs.append(_input(txid, len(inputs), value, m.sender, watched[m.sender], m.asset))
        place = (m.asset, m.recipient)
        if m.recipient in watched:
            outputs.append(_output(len(outputs), value, m.recipient, watched[m.recipient], m.asset, m.ref))
        elif m.asset in debited and place not in pass_on:
            outputs.append(_output(len(outputs), value, m.recipient, None, m.asset, m.ref))
        elif m.asset in debited and place in receive and gains[place] > 0:
            receive.remove(place)  # one output, at its first incoming movement
            value = _units(gains[place], m.asset, txid, known)
            outputs.append(_output(len(outputs), value, m.recipient, None, m.asset, m.ref))
    if fee_payer is not None and fee:
        inputs.append(_input(txid, len(inputs), _units(fee, asset, txid, known), fee_payer, watched[fee_payer], asset))
    losers = _losers(movements, watched, debited, gains)
    for contract, coin in wrapped.items():
        unwrapped = sum(m.value for m in movements if m.sender in watched and (m.asset, m.recipient) == (coin, contract))
        if unwrapped and losers.get((asset, contract), 0) <= unwrapped:
            losers.pop((asset, contract), None)
    lost = sum(value for (name, _), value in losers.items() if name == asset)
    return NettedTransaction(inputs, outputs, len({address for _, address in losers}), int(_units(lost, asset, txid, known)))


Place = tuple[str, str]
"""An asset and an address."""


def _other_parties(movements: Sequence[Movement], watched: Mapping[str, str]) -> tuple[set[Place], set[Place], dict[Place, int]]:
    """Of the addresses that are not the pool's: which receive, which send, and each one's net gain (negative: loss)."""
    receive: set[Place] = set()
    pass_on: set[Place] = set()
    gains: dict[Place, int] = defaultdict(int)
    for m in movements:
        if m.recipient not in watched:
            receive.add((m.asset, m.recipient))
            gains[(m.asset, m.recipient)] += m.value
        if m.sender is not None and m.sender not in watched:
            pass_on.add((m.asset, m.sender))
            gains[(m.asset, m.sender)] -= m.value
    return receive, pass_on, gains


def _losers(movements: Sequence[Movement], watched: Mapping[str, str], debited: set[str], gains: Mapping[Place, int]) -> dict[Place, int]:
    """The other inputs with their amounts: the net loss where net gains are outputs, else what was paid to the pool."""
    losers = {place: -gain for place, gain in gains.items() if place[0] in debited and gain < 0}
    for m in movements:
        if m.asset not in debited and m.recipient in watched and m.sender is not None:
            losers[(m.asset, m.sender)] = losers.get((m.asset, m.sender), 0) + m.value
    return losers


def _units(value: int, asset: str, txid: str, known: frozenset[str]) -> str:
    if value > MAX_UNITS:
        if asset in known:
            raise SourceError(
                f"transaction {txid} moves {value} units of {asset}: more than the 38 digits that amounts may have; check the asset's contract"
            )
        value = MAX_UNITS
    return str(value)


def _input(txid: str, vout: int, value: str, address: str, wallet: str, asset: str) -> Input:
    return Input(txid=txid, vout=vout, value=value, address=address, wallet=wallet, asset=asset)


def _output(vout: int, value: str, address: str, wallet: str | None, asset: str, ref: str) -> Output:
    return Output(vout=vout, value=value, address=address, wallet=wallet, asset=asset, script_type=SCRIPT_TYPE, ref=ref)
