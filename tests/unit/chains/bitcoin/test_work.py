"""Work behind headers: real headers of the main networks pass, headers that anybody can make do not."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from pipeline.chains.bitcoin.merkle import meets_target, target_of
from pipeline.chains.bitcoin.networks import NETWORKS, Network, network
from pipeline.chains.bitcoin.wire import Header, parse_header
from pipeline.chains.bitcoin.work import bits_of, is_test_network, median_times, retargeted, scheduled, work_faults, work_of

from .chains import GENESIS_HEADER, read_block

BITCOIN, LITECOIN = network("bitcoin"), network("litecoin")

# Bitcoin's block 840,000, as any node gives it (getblockheader HASH false).
BLOCK_840000 = bytes.fromhex(
    "00e05f2aab948491071265ad552351d0ad625745668da54b0172010000000000000000004f89a5d73bd4d4887f25981fe81892ccafda10c27f52d6f3dd28183a7c411b03"
    "b7072366194203177d9863ea"
)
# The first and the last header of three intervals of Bitcoin, and the one after: blocks 554,400 to 560,448, as any node gives them.
INTERVALS = {
    554400: "00004020d3b2d7d61ad2d95ffbd556d9e00f07877423600a8da015000000000000000000d192743a2c190a7421f92fefe92505579d7b8eda568cacee13b25751ac704c66"
    "9d83195cf41e371721bae3e7",
    556415: "00000020bc7d388bea14dab9caa937b909caecd6ece36e3c6589200000000000000000007c0900cf1a9b40411141859b98bf95fb9d414f49044e08acff21fa54506022a4"
    "e6492a5cf41e3717d2864679",
    556416: "00000020120b3264562d49df59c400a0f276448db2a9aa4bf6f4080000000000000000005cb4b52150fe7dec217b74db424e442ef8b24105c244ebaeb59f638db9c48ef3"
    "c94f2a5ca5183217b412a530",
    558431: "0000402022c9973a4f6c0623105f2a5d0dc349773848a4f02de60f000000000000000000e88eabc4c6398c80cea87f6d1d662c6640de4719f7949ae85afe75746dd04abb"
    "abef3b5ca5183217f6d45f41",
    558432: "00c0ff2f6550b5dae76559589e3e3e135237072b6bc498949da6280000000000000000005988783435f506d2ccfbadb484e56d6f1d5dfdd480650acae1e3b43d3464ea73"
    "caf13b5c33d62f171d508fdb",
    560447: "00000020d8e8e54ca5e33522b94fbba5de736efc55ff75e832cf2300000000000000000007b395f80858ee022c9c3c2f0f5cee4bd807039f0729b0559ae4326c3ba77d6b"
    "209f4e5c33d62f1746ee356d",
    560448: "000000206b05bd2c4a06b3d8503a033c2593396a25a79e1dcadb140000000000000000001b08df3d42cd9a38d8b66adf9dc5eb464f503633bd861085ffff723634531596"
    "a1a24e5c35683017bf67b72a",
}


def real(height: int) -> Header:
    raw = bytes.fromhex(INTERVALS[height])
    assert meets_target(raw, BITCOIN) is True
    return parse_header(raw)


@pytest.mark.parametrize("first", [554400, 556416, 558432])
def test_bitcoins_own_intervals_are_set_anew_as_the_rules_say(first: int) -> None:
    checkpoint = network("bitcoin").checkpoint
    assert checkpoint is not None
    start, last, after = real(first), real(first + 2015), real(first + 2016)
    assert retargeted(last.bits, last.time - start.time, BITCOIN) == after.bits


def test_a_real_header_after_the_checkpoint_passes_and_one_of_difficulty_1_does_not() -> None:
    checkpoint = network("bitcoin").checkpoint
    assert checkpoint is not None and meets_target(BLOCK_840000, BITCOIN) is True
    header = parse_header(BLOCK_840000)
    assert header.hash.hex() == "0000000000000000000320283a032748cef8227873ff4872689bf23f1cda83a5"
    assert work_faults([header], 840_000, BITCOIN) == []
    easy = parse_header(GENESIS_HEADER)
    assert work_of(easy.bits) == 0x100010001 and meets_target(GENESIS_HEADER, BITCOIN) is True
    (fault,) = work_faults([easy], 840_000, BITCOIN)
    assert "block 840000: claims the work of 4,295,032,833 hashes" in fault
    assert "there" in work_faults([header], checkpoint.height, BITCOIN)[0]


def test_a_real_header_of_litecoin_claims_more_than_the_least_work() -> None:
    checkpoint, raw = network("litecoin").checkpoint, read_block("litecoin-2265985")[:80]
    assert checkpoint is not None and meets_target(raw, LITECOIN) is True
    assert work_of(parse_header(raw).bits) > checkpoint.least_work > work_of(0x1E0FFFF0)


def chain(count: int, first: int, bits: int, *, apart_s: int = 600) -> list[Header]:
    """Headers one after another; of their hashes nothing is asked here."""
    return [Header(f"{n:064x}", f"{n - 1:064x}", "00" * 32, 1_720_000_000 + n * apart_s, bits, 0, 4) for n in range(first, first + count)]


def test_difficulty_moves_only_where_and_as_far_as_the_network_moves_it() -> None:
    checkpoint, bits = network("bitcoin").checkpoint, 0x17034219
    assert checkpoint is not None
    interval = 840_000 // 2016 * 2016 + 2016
    honest = chain(2017, interval, bits)
    meant = retargeted(bits, 2015 * 600, BITCOIN)
    assert work_faults([*honest[:-1], honest[-1]._replace(bits=meant)], interval, BITCOIN) == []
    assert "by the rules it is" in work_faults(honest, interval, BITCOIN)[0]
    eased = [*honest[:5], honest[5]._replace(bits=0x17044219), *honest[6:9]]
    assert "sets none anew" in work_faults(eased, interval, BITCOIN)[0]
    short = [honest[0]._replace(time=1), honest[1]._replace(time=2, bits=bits_of(target_of(bits) * 5))]
    assert any("more than four times" in fault for fault in work_faults(short, interval - 1, BITCOIN))


def test_a_month_takes_as_many_blocks_as_the_network_makes_in_it() -> None:
    checkpoint = network("bitcoin").checkpoint
    assert checkpoint is not None
    assert work_faults(chain(300, 850_000, 0x17034219), 850_000, BITCOIN) == []
    (fault,) = work_faults(chain(300, 850_000, 0x17034219, apart_s=6_000), 850_000, BITCOIN)
    assert "300 blocks in 20 days" in fault


def test_times_run_after_the_median_of_the_blocks_before() -> None:
    checkpoint, headers = network("bitcoin").checkpoint, chain(20, 850_000, 0x17034219)
    assert checkpoint is not None
    headers[15] = headers[15]._replace(time=headers[4].time)
    assert any("median time" in fault for fault in work_faults(headers, 850_000, BITCOIN))
    times = [header.time for header in headers]
    assert median_times(times, 850_000)[:11] == [None] * 10 + [times[5]]
    assert median_times(times[:3], 0) == [times[0], times[1], times[1]]


def test_a_median_time_is_the_sixth_of_eleven_times_whatever_their_order() -> None:
    rng = random.Random(7)
    times = [rng.choice((0, 1, 1_780_000_000, 2**32 - 1, rng.randrange(2**32))) for _ in range(2_000)]
    for first_height, known_from in ((850_000, 10), (0, 0)):
        medians = median_times(times, first_height)
        assert medians[:known_from] == [None] * known_from
        for place in range(known_from, len(times)):
            window = sorted(times[max(0, place - 10) : place + 1])
            assert medians[place] == window[len(window) // 2]
    assert median_times([], 0) == [] == median_times([], 850_000)


@pytest.mark.parametrize(
    ("time", "before", "bits", "meant"),
    [
        (1395094679, 1395094427, 0x1B499DFD, 0x1B671062),
        (1395101360, 1395100835, 0x1B3439CD, 0x1B4E56B3),
        (1395380447, 1395380517, 0x1B446F21, 0x1B335358),
        (1395094727, 1395094679, 0x1B671062, 0x1B6558A4),
    ],
)
def test_dogecoin_sets_its_difficulty_at_every_block(time: int, before: int, bits: int, meant: int) -> None:
    """Blocks of the main network, as Dogecoin Core's own dogecoin_tests.cpp has them: late, very late, a time that ran backwards, early."""
    checkpoint = network("dogecoin").checkpoint
    assert checkpoint is not None
    assert retargeted(bits, time - before, network("dogecoin")) == meant


def test_blocks_of_dogecoin_from_before_that_rule_are_not_judged_by_it() -> None:
    dogecoin = network("dogecoin")
    eased = [header._replace(bits=0x1B499DFD + number) for number, header in enumerate(chain(3, 144_997, 0, apart_s=60))]
    assert work_faults(eased, 144_997, dogecoin) == []
    assert any("block 145000: its difficulty is" in fault for fault in work_faults(eased, 144_998, dogecoin))
    few = chain(30, 100_000, 0x1B499DFD, apart_s=86_400)
    assert work_faults(few, 100_000, dogecoin) == [], "nor is how many there were"


@pytest.mark.parametrize("bits", [0x1D00FFFF, 0x17034219, 0x1B0404CB, 0x1E0FFFF0, 0x207FFFFF, 0x1C008000])
def test_bits_and_targets_turn_into_each_other(bits: int) -> None:
    assert bits_of(target_of(bits)) == bits


def test_which_networks_have_work_that_headers_show() -> None:
    main = {"bitcoin", "litecoin", "dogecoin", "bitcoincash", "ecash"}
    assert {name for name in NETWORKS if network(name).checkpoint} == main
    assert {name for name in NETWORKS if not is_test_network(network(name))} == main
    assert work_of(0) == work_of(0x1D800000) == 0


def anchored(bits: int, *, height: int = 1, parent_time: int = 0) -> Network:
    """Bitcoin Cash with another anchor, as the public vectors have it."""
    ours = network("bitcoincash")
    assert ours.retarget is not None and ours.retarget.anchor is not None
    anchor = msgspec.structs.replace(ours.retarget.anchor, height=height, bits=bits, parent_time=parent_time)
    return replace(ours, facts=msgspec.structs.replace(ours.facts, retarget=msgspec.structs.replace(ours.retarget, anchor=anchor)))


@pytest.mark.parametrize(
    ("anchor", "height", "time", "meant"),
    [
        (0x01010000, 2, 1200, 0x01010000), (0x01010000, 11, 6600, 0x01010000),
        (0x1D00FFFF, 2, 0, 0x1D00FEC5), (0x1D00FFFF, 290, 0, 0x1C7F62C0), (0x1D00FFFF, 578, 0, 0x1C3FB160), (0x1D00FFFF, 2018, 0, 0x1C01FD8B),
        (0x1D00FFFF, 6338, 0, 0x1A03FB16), (0x1D00FFFF, 21026, 0, 0x137F62C0), (0x1D00FFFF, 60194, 0, 0x027F6200), (0x1D00FFFF, 62786, 0, 0x013F0000),
        (0x1D00FFFF, 64226, 0, 0x01010000), (0x1D00FFFF, 64514, 0, 0x01010000), (0x1D00FFFF, 2, 10**9, 0x1D00FFFF),
    ],
)  # fmt: skip
def test_a_schedule_of_difficulty_by_its_public_vectors(anchor: int, height: int, time: int, meant: int) -> None:
    """Lines of run03 and run05 of the vectors of aserti3-2d, made with the node's own code: a block's height and time, and the bits of the next one."""
    assert scheduled(height + 1, time, anchored(anchor)) == meant


def test_headers_off_the_schedule_are_told() -> None:
    cash = network("bitcoincash")
    assert cash.retarget is not None and cash.retarget.anchor is not None
    first, start = 700_000, cash.retarget.anchor.parent_time + 600 * (700_000 - cash.retarget.anchor.height)
    headers = chain(20, first, 0)
    honest = []
    for place, header in enumerate(headers):
        honest.append(header._replace(time=start + 570 * place, bits=scheduled(first + place, start + 570 * (place - 1), cash)))
    assert work_faults(honest, first, cash) == []
    assert len({header.bits for header in honest}) == len(honest), "every block has a difficulty of its own"
    eased = [*honest[:-1], honest[-1]._replace(bits=honest[-2].bits)]
    (fault,) = work_faults(eased, first, cash)
    assert "by the schedule it is" in fault
    late = [header._replace(bits=0x1D00FFFF) for header in honest]
    assert any("claims the work of" in fault for fault in work_faults(late, first, cash))
