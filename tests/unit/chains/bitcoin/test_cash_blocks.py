"""Bitcoin Cash and eCash on published blocks: headers with their work and difficulty, a coinbase with the shares that eCash takes, outputs with tokens."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pipeline.chains.bitcoin.merkle import meets_target
from pipeline.chains.bitcoin.networks import Network, network
from pipeline.chains.bitcoin.script import address_of, script_type
from pipeline.chains.bitcoin.sizes import bare_script
from pipeline.chains.bitcoin.wire import HEADER_SIZE, Header, double_sha256, parse_header, parse_transaction
from pipeline.chains.bitcoin.work import scheduled, work_faults
from pipeline.chains.forks import fork_fault
from pipeline.chains.rewards import block_reward

from .chains import read_block

BCH, XEC = network("bitcoincash"), network("ecash")

# Bitcoin Cash's blocks 661,646 to 661,651, as any of its nodes gives them (getblockheader HASH false). The first two are eCash's and Bitcoin ABC's too.
FIRST = 661646
HEADERS = [
    bytes.fromhex(text)
    for text in (
        "00000020ac1d4c0fdf21cfcba41d0bb00802ed3020befbedb8bbd700000000000000000008979c37cc3ff63198dc807c3b710f9df37fdc843b0db9de41bc78dbe5279f14a430b15f3ec00418d1623dd0",
        "000000202df7a2e0562ebbbd8dc95ca6669c4f1ba888484c2cc7e403000000000000000067418c23d8901e49555725fb2e37adfb9ed29a05833eb4774d53b63b44ba457e8937b15ffeda04183c2b1978",
        "000000202fe6ee2db04b6575ad185521133598e3590d787a4bed8300000000000000000042faaa7bb98abdfb6f780417b1c0eb7873cd49e048feef273d5e270e1eb223855938b15fd0e0041888420330",
        "0000c020cea8b5f909054a0befc47110914cb7b8248d81411c479e020000000000000000039ea56fe7dfc4d384002372286a5c024853f44598a7ab6263c601744a51921a913cb15fdcde04186567266f",
        "00e0ff37c2797878686dcff9a6cb1a182f326d3dabe27195d52dcc040000000000000000cc93adc8a42a413b45697da36694ced25e00b6eeff1fd935cce243a13961ec47b03db15f45e10418a6d026a5",
        "000000205c93bb7e4caee647ff349ca4660a221be4344990c48ec004000000000000000010d825cdcb21f024ed723f3b3cfe80a5b3fbe10958d28be57ed1a29d865883497a42b15fb2df04189e864f51",
    )
]
# eCash's block 819,346: its coinbase, as Bitcoin ABC's own tests (apps/ecash-herald) have it.
COINBASE_819346 = bytes.fromhex(
    "0100000001" + "00" * 32 + "ffffffff"
    "580392800c04904c5d650cfabe6d6d2a5055cb96fc034feb64a6533f9ba428768f019b0efc92797bb1eeae3bda05e410000000000000000800002bed8efca61700000015643839366564326466356633353334353432323837"
    "0000000003"
    "a04f9b15000000001976a914ce8c8cf69a922a607e8e03e27ec014fbc24882e088ac"
    "00c2eb0b0000000017a914d37c4c809fe9840e7bfa77b86bd47163f6fb6c6087"
    "a0acb903000000001976a914c36941af4c8cdf6e3156f7fe1426d05d6177890e88ac"
    "00000000"
)  # fmt: skip


def test_published_headers_have_their_work_and_the_difficulty_of_the_schedule() -> None:
    headers = [parse_header(raw) for raw in HEADERS]
    assert all(meets_target(raw, BCH) for raw in HEADERS)
    assert all(after.prev == before.hash for before, after in pairwise(headers))
    assert BCH.retarget is not None and BCH.retarget.anchor is not None
    assert (headers[0].time, headers[1].bits) == (BCH.retarget.anchor.parent_time, BCH.retarget.anchor.bits)
    for place in range(2, len(headers)):
        assert scheduled(FIRST + place, headers[place - 1].time, BCH) == headers[place].bits
    assert work_faults(headers[1:], FIRST + 1, BCH) == []
    assert fork_fault(BCH, {FIRST + 2: headers[2].hash.hex()}) is None


def of_file(first: int) -> list[Header]:
    """147 headers of the main network, each after the one before and with the work that it claims."""
    stored = read_block(f"bitcoincash-headers-{first}")
    raws = [stored[place : place + HEADER_SIZE] for place in range(0, len(stored), HEADER_SIZE)]
    headers = [parse_header(raw) for raw in raws]
    assert len(headers) == 147 and all(meets_target(raw, BCH) for raw in raws)
    assert all(after.prev == before.hash for before, after in pairwise(headers))
    return headers


def test_a_day_of_the_main_network_by_the_schedule_has_no_fault_and_a_changed_one_has() -> None:
    headers = of_file(671644)
    assert work_faults(headers, 671644, BCH) == []
    eased = [*headers[:-1], headers[-1]._replace(bits=headers[-2].bits)]
    (fault,) = work_faults(eased, 671644, BCH)
    assert "block 671790" in fault and "by the schedule it is" in fault


@pytest.mark.parametrize("ours", [BCH, XEC])
def test_headers_of_before_the_schedule_are_not_judged_by_it(ours: Network) -> None:
    headers = of_file(653710)
    assert any(scheduled(653710 + place, headers[place - 1].time, ours) != headers[place].bits for place in range(1, 147)), "it would fault"
    assert work_faults(headers, 653710, ours) == []
    assert ours.retarget is not None and ours.retarget.first_block == 661648
    across = [parse_header(raw) for raw in HEADERS]
    assert work_faults(across[:2], FIRST, ours) == [], "the last two before it"
    eased = [*across[:2], across[2]._replace(bits=across[1].bits)]
    assert any("block 661648: its difficulty is" in fault for fault in work_faults(eased, FIRST, ours)), "the first one by it"


def test_bitcoin_cash_and_ecash_are_told_apart_both_ways() -> None:
    parted = {FIRST + 2: parse_header(HEADERS[2]).hash.hex()}
    assert "it looks like a node of Bitcoin Cash" in str(fork_fault(XEC, parted))
    ecash = {661648: "000000000000000004284c9d8b2c8ff731efeaec6be50729bdc9bd07f910757d"}
    assert "it looks like a node of eCash" in str(fork_fault(BCH, ecash))
    bitcoin = {478559: "00000000000000000019f112ec0a9982926f1258cdcc558dd7c3b7e5dc7fa148"}
    for each in (BCH, XEC):
        assert "it looks like a node of Bitcoin" in str(fork_fault(each, bitcoin))


def test_a_published_coinbase_of_ecash() -> None:
    coinbase = parse_transaction(COINBASE_819346, XEC)
    assert coinbase.is_coinbase and coinbase.txid.hex() == "0bf6e9cd974cd5fc6fbbf739a42447d41a301890e2db242295c64df63dc3ee7e"
    assert coinbase.raw == coinbase.raw_stripped, "no witnesses"
    assert [address_of(output.script, XEC) for output in coinbase.outputs][1] == "ecash:prfhcnyqnl5cgrnmlfmms675w93ld7mvvqd0y8lz07"
    assert XEC.facts.reward is not None
    reward = block_reward(XEC.facts.reward, 819_346)
    assert reward == sum(output.value for output in coinbase.outputs) == 625_000_000, "6,250,000 XEC at two decimals"


TOKENS = "ef" + "11" * 32
PLAIN = "76a914" + "22" * 20 + "88ac"


@pytest.mark.parametrize(
    ("before", "script"),
    [
        (TOKENS + "10" + "fdfd00", PLAIN),  # an amount
        (TOKENS + "22", PLAIN),  # one of a kind, which may make more
        (TOKENS + "61" + "03" + "abcdef", PLAIN),  # with a commitment
        (TOKENS + "71" + "01ab" + "05", PLAIN),  # with both
    ],
)
def test_tokens_before_a_script_are_passed_over(before: str, script: str) -> None:
    assert bare_script(bytes.fromhex(before + script)).hex() == script
    raw = bytes.fromhex("0200000001" + "33" * 32 + "0000000000ffffffff01e803000000000000" + f"{len(before + script) // 2:02x}" + before + script + "00000000")  # fmt: skip
    tx = parse_transaction(raw, BCH)
    (output,) = tx.outputs
    assert (output.value, output.script.hex(), script_type(output.script)) == (1000, script, "pubkeyhash")
    assert tx.txid == double_sha256(raw)[::-1], "the id is over all bytes"
    assert parse_transaction(raw, XEC).outputs[0].script.hex() == before + script, "eCash has no such tokens"


@pytest.mark.parametrize(
    "odd",
    [
        TOKENS,
        TOKENS + "00" + PLAIN,
        TOKENS + "90" + PLAIN,
        TOKENS + "40" + PLAIN,
        TOKENS + "10fd",
        TOKENS + "61" + "ff" + PLAIN,
        "ef",
        PLAIN,
        "",
    ],
)
def test_what_are_no_tokens_stays_as_it_is(odd: str) -> None:
    assert bare_script(bytes.fromhex(odd)).hex() == odd
