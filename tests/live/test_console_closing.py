"""The whole closing of the recorded month in Chromium: look, label, bring in, waive, freeze, approve, sign, file, read the receipt, amend; in three languages, once by
keyboard alone. Then what comes between: a reorganisation, a second browser, another process, a session that ends, an answer that never comes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.standins.filing_service import Faults, ReceivedSubmissions, SandboxServer
from pipeline.app.app import App
from pipeline.cli.frame import settings_of
from pipeline.closing.life import Life
from pipeline.follow.build_events import EventBuilder
from pipeline.follow.main_chain import MainChain
from pipeline.log.events import encode
from pipeline.log.events.chain import Connect, Disconnect, Stretch
from pipeline.log.read import events_of
from pipeline.model.months import Month
from pipeline.settings import Settings, load_settings
from pipeline.texts import Language
from pipeline.verify.shapes import APPROVALS
from pipeline.web.parts import Parts
from pipeline.web.serve import serve_console
from tests.integration.consoles import PASSWORD, Clock
from tests.integration.example_month import RECORDED, esep
from tests.integration.test_signing import write_p12

from .chromium import CHROMIUM
from .console_people import Hand, Person

pytestmark = [pytest.mark.live, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
MONTH = Month(2026, 10)
BOARD = f"/months/{MONTH}"
CLOSING = """
[closing]
first_month = "2026-10"
hold_hours = 0
approvals = 2
approvers = ["A. Person", "B. Approver", "C. Approver"]
four_eyes = true
[signing]
way = "pkcs12"
pkcs12_file = "pool.p12"
password_file = "word"
[filing]
way = "http"
"""


@dataclass
class Office:
    """A console over the recorded month, and the filing service that it files to."""

    parts: Parts
    address: str
    service: SandboxServer
    clock: Clock

    @property
    def app(self) -> App:
        return self.parts.app

    @property
    def life(self) -> Life:
        """The month's life, as the log tells it now."""
        self.app.diary.refresh()
        return self.app.diary.life(MONTH)


@contextmanager
def office(var: Path, faults: Faults | None = None, settings: str = CLOSING) -> Iterator[Office]:
    clock = Clock()
    with SandboxServer(ReceivedSubmissions(), faults or Faults(), clock) as service:
        config = var / "esep.toml"
        filing = f'url = "{service.url}/submissions"\nstatus_url = "{service.url}/submissions/{{submission_id}}"\n'
        config.write_text(config.read_text(encoding="utf-8") + settings + filing, encoding="utf-8")
        (var / "word").write_text("secret")
        with ExitStack() as held:
            app = held.enter_context(App(_settings(config), clock))
            address, parts = held.enter_context(serve_console(app, "localhost:0"))
            yield Office(parts, address, service, clock)


def _settings(config: Path) -> Settings:
    bin_number = load_settings(config, {"ESEP_SIGNING_PASSWORD": "x"}).pool.bin
    write_p12(config.parent / "pool.p12", begins=-3000, ends=36500, unit=f"BIN{bin_number}")
    return settings_of(config)


# --- the whole closing


def make_users(office: Office, first: Person, chromium: Any) -> tuple[Person, Person]:
    """The first user by the one-time link, then two approvers by invitation, each with a browser and a passkey of their own."""
    first.enter(office.parts.make_link("Holder"))
    first.open("/users")
    first.fill("input[name=user]:not([type=hidden])", "A. Person")
    first.fill("form:has(input[name=user]:not([type=hidden])) input[name=reason]", "closes the months")
    first.send("Make the user")
    invited = first.page.inner_text("#invitation")
    first.accept(invited, PASSWORD)
    others = []
    for name in ("B. Approver", "C. Approver"):
        first.open("/users")
        new = "form:has(input[name=user]:not([type=hidden]))"
        first.fill(f"{new} input[name=user]", name)
        first.tick(f"{new} input[value=approver]")
        first.fill(f"{new} input[name=reason]", "approves the months")
        first.send("Make the user")
        other = Person(chromium, office.address, first.language, first.hand)
        other.accept(first.page.inner_text("#invitation"), PASSWORD)
        other.has_authenticator()
        other.add_passkey("laptop")
        others.append(other)
    return others[0], others[1]


def look(one: Person) -> None:
    """From the board to the figures, the form and a row's story."""
    one.open("/")
    one.sees(one.say_of("{count} thing stands in the way of filing", "{count} things stand in the way of filing", 1))
    one.use(one.page.locator(f'h2 a[href="{BOARD}"]'))
    one.sees(one.amount("13.07542702"))
    one.follow(one.say("The form"), "nav.tabs")
    one.fill("input[name=search]", "A001262")
    one.press("Show")
    one.finds()
    one.sees("807")
    one.follow("807", "main")
    one.sees("A001262")


def label(one: Person) -> None:
    """Look at what the label would change, then give it."""
    one.follow(one.say("Issues"), "nav.tabs")
    one.follow(one.say("Decide"))
    form = "form[action$='/label']"
    one.fill(f"{form} input[name=whose]", "Power company")
    one.send("Show what it changes")
    one.work_ends(f"{BOARD}/issues/")
    one.sees("unknown-outflow")
    one.fill(f"{form} textarea[name=reason]", "invoice 7")
    one.send("Label")
    one.work_ends(f"{BOARD}/issues")
    one.page.get_by_text(one.say("blocks the month")).wait_for(state="detached")


def bring_in(one: Person, kind: str, path: Path, *seen: str) -> None:
    """Bring in a file: look at what it changes, then take it."""
    one.follow(one.say("Bring in"), "header")
    one.choose("select[name=kind]", kind)
    one.attach("input[type=file]", path)
    one.send("See what it changes")
    one.work_ends("/bring-in?task=")
    one.sees(path.name, *seen)
    box = "input[name=is_agreed]"
    if one.page.locator(box).count():
        one.tick(box)
    one.send("Take it")
    one.work_ends("/bring-in?task=")
    one.page.get_by_role("status").filter(has_text="1").first.wait_for()


def waive(one: Person) -> None:
    one.open(BOARD)
    one.follow(one.say("Issues"), "nav.tabs")
    one.follow(one.say("Decide"))
    one.fill("form[action$='/waiver'] textarea[name=reason]", "two payouts on one day, asked the pool")
    one.send("Waive in my name")
    one.work_ends(f"{BOARD}/issues")
    one.page.get_by_text(one.say("blocks the month")).wait_for(state="detached")


def freeze(one: Person, office: Office, version: int) -> None:
    """Preview and freeze; what was shown must be what is frozen."""
    one.follow(one.say("Close and file"), "nav.tabs")
    one.send("See exactly what would be frozen" if version == 1 else "See what a further version would change")
    one.work_ends(f"{BOARD}/close?task=")
    form = one.page.locator("form[action$='/freeze']")
    digest = str(form.locator("input[name=digest]").input_value())
    one.sees(digest)
    one.fill("form[action$='/freeze'] [name=reason]", "compared with the ledger")
    one.send("Freeze exactly this, in my name" if version == 1 else "Freeze this version, in my name")
    one.arrives(f"{BOARD}/close")
    one.sees(one.say("version {number}", number=version))
    frozen = office.life.frozen[version]
    assert frozen.digest == digest and frozen.by == "A. Person"


def approve(*people: Person) -> None:
    for one in people:
        one.open(f"{BOARD}/close")
        one.fill("form:has(button[data-passkey=approve]) [name=reason]", "compared with the ledger")
        one.press("Approve by passkey")
        button = one.page.locator("button[data-passkey=approve]")
        try:
            button.wait_for(state="detached")
        except Exception as error:
            fault, reason = one.page.locator("#approval-fault"), one.page.locator("form:has(button[data-passkey=approve]) [name=reason]")
            raise AssertionError(f"not approved: {fault.text_content()!r}, reason {reason.input_value()!r}; {one.text[:2000]}") from error


def file(one: Person, office: Office) -> None:
    """Sign, send, and read the receipt as it came."""
    one.open(f"{BOARD}/close")
    one.send("Take the next step now")
    one.work_ends(f"{BOARD}/close")
    entry = list(office.service.submissions.entries.values())[-1]
    one.sees(entry.receipt, one.say("accepted"))
    answer = one.taken(lambda: one.follow(one.say("The answer as it came")))
    folder = office.app.months.folder_of(MONTH, int(entry.version)) / "submissions" / entry.submission_id
    assert answer == (folder / "0001-send-accepted.txt").read_bytes() and entry.receipt.encode() in answer
    one.use(one.page.locator("details summary", has_text=one.say("Files")).first)
    body = one.taken(lambda: one.follow(f"submissions/{entry.submission_id}/body"))
    assert body == (folder / "body").read_bytes() and json.loads(body)["submission_id"] == entry.submission_id


def row_of(name: str, change: Any) -> str:
    """A file of the ledger with one changed row of the recorded month."""
    rows = (RECORDED / name).read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    cells = next(row for row in rows if ",2026-10-2" in row).split(",")
    change(cells, names)
    return f"{rows[0]}\n{','.join(cells)}\n"


def twice(cells: list[str], names: list[str]) -> None:
    at = names.index("allocation_id")
    cells[at] = f"{cells[at]}X"


def restated(cells: list[str], names: list[str]) -> None:
    at = names.index("amount")
    cells[at] = cells[at][:-1] + str((int(cells[at][-1]) + 1) % 10)


@pytest.mark.parametrize(("language", "hand"), [("en", "mouse"), ("kk", "keyboard"), ("ru", "mouse")])
def test_the_whole_closing(
    blocked: Path, tmp_path: Path, chromium: Any, language: Language, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    (tmp_path / "more.csv").write_text(row_of("allocations.csv", twice), encoding="utf-8")
    (tmp_path / "restated.csv").write_text(row_of("allocations.csv", restated), encoding="utf-8")
    with office(var) as ours:
        first = Person(chromium, ours.address, language, hand)
        second, third = make_users(ours, first, chromium)
        look(first)
        label(first)
        bring_in(first, "allocations", tmp_path / "more.csv", "allocation-twice")
        waive(first)
        freeze(first, ours, 1)
        first.sees(first.say("You froze this version: another person approves it."))
        assert not first.page.locator("button[data-passkey=approve]").count()
        approve(second, third)
        file(first, ours)
        bring_in(first, "allocations", tmp_path / "restated.csv")
        first.open(BOARD)
        freeze(first, ours, 2)
        approve(second, third)
        file(first, ours)
        one, two = ours.service.submissions.entries.values()
        assert (two.version, two.amends, two.state, one.state) == ("2", one.submission_id, "accepted", "accepted")
        approvals = [one for each in ours.life.approvals.values() for one in each.values()]
        assert [one.by for one in approvals] == ["B. Approver", "C. Approver"] * 2
        assert all(one.assertion is not None for one in approvals)
        first.follow(first.say("Who did what"), "header")
        first.sees("invoice 7", "approves the months", "two payouts on one day, asked the pool")
        assert first.troubles + second.troubles + third.troubles == []
        config = ours.app.settings.var / "esep.toml"
    for version in (1, 2):
        bundle = var / "months" / str(MONTH) / f"v{version}"
        assert (bundle / APPROVALS).is_file() and esep("verify", bundle, "--test-network") == 0
    assert "2 people approved this report by passkey: B. Approver, C. Approver" in " ".join(capsys.readouterr().out.split())
    assert esep("log", "check", "--config", config) == 0


# --- what comes between


ALONE = (
    CLOSING.replace("approvals = 2", "approvals = 0")
    .replace("four_eyes = true", "")
    .replace('approvers = ["A. Person", "B. Approver", "C. Approver"]\n', "")
)
HELD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", HELD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None and other.stdout.readline() == b"held\n"
        yield
        other.stdin.close()


def last_blocks(office: Office) -> tuple[Callable[[], None], Callable[[], None]]:
    """Let the blocks of the month's last five days and after leave the main chain, as a connector tells it; and let the same ones come back."""
    log = office.app.log
    key = next(record.key for record in log.read({}, topics=["chain"]))
    blocks: dict[int, Connect] = {}
    for _, event in events_of(log, "chain", key, [Connect, Stretch, Disconnect]):
        match event:
            case Connect():
                blocks[event.height] = event
            case Stretch():
                prevs = [event.prev, *event.hash]
                for place, (own, time, median, header) in enumerate(
                    zip(event.hash, event.time, event.mediantime, event.header, strict=True)
                ):
                    blocks[event.height + place] = Connect(
                        id="", seq=0, chain=event.chain, height=event.height + place, hash=own, prev=prevs[place], time=time, mediantime=median,
                        header=header, transactions=[],
                    )  # fmt: skip
            case Disconnect():
                del blocks[event.height]
    late = range(MONTH.end_at - 5 * 86_400, MONTH.end_at)
    begin = min(block.height for block in blocks.values() if block.transactions and block.mediantime in late)

    def append(make: Callable[[MainChain], list[Any]]) -> None:
        with log.writer("chain", key) as writer:
            chain = MainChain()
            chain.load(log, key)
            writer.append([encode(event) for event in make(chain)])

    def again(chain: MainChain) -> list[Any]:
        returning = [blocks[height] for height in sorted(blocks) if height >= begin]
        return [
            msgspec.structs.replace(block, seq=seq, id=f"{block.chain}:{seq}") for seq, block in enumerate(returning, start=chain.next_seq)
        ]

    name = next(iter(blocks.values())).chain
    return lambda: append(lambda chain: list(EventBuilder(name).disconnects(chain, begin - 1))), lambda: append(again)


def previewed(one: Person) -> None:
    one.open(f"{BOARD}/close")
    one.send("See exactly what would be frozen")
    one.work_ends(f"{BOARD}/close?task=")


def freezes_what_it_saw(one: Person) -> None:
    one.fill("form[action$='/freeze'] [name=reason]", "compared with the ledger")
    one.send("Freeze exactly this, in my name")


def test_what_comes_between_is_told_and_nothing_is_done_twice(blocked: Path, tmp_path: Path, chromium: Any) -> None:
    var = tmp_path / "var"
    shutil.copytree(blocked, var)
    first_call = iter(["cut"])
    with held_by_another_process(var / "store.duckdb"), office(var, Faults(at=lambda _: next(first_call, None)), settings=ALONE) as ours:
        one, two = Person(chromium, ours.address), Person(chromium, ours.address)
        one.enter(ours.parts.make_link("A. Person"))
        two.enter(ours.parts.make_link("B. Person"))

        # A session ends half way: nothing is done, and what was written is given back.
        one.open(BOARD)
        one.follow(one.say("Issues"), "nav.tabs")
        one.follow(one.say("Decide"))
        one.fill("form[action$='/waiver'] textarea[name=reason]", "asked the power company")
        ours.parts.sessions.end_all("A. Person")
        one.send("Waive in my name")
        one.sees("You are not signed in, or the session is over: sign in, then do it again.", "asked the power company")
        one.enter(ours.parts.make_link("A. Person"))
        waive(one)

        # A reorganisation comes while a page is open.
        previewed(one)
        leave, come_back = last_blocks(ours)
        leave()
        freezes_what_it_saw(one)
        one.sees("facts changed since what you saw: look again, then freeze")
        assert not ours.life.frozen
        come_back()

        # Two people freeze at once.
        previewed(one)
        previewed(two)
        freezes_what_it_saw(one)
        one.arrives(f"{BOARD}/close")
        freezes_what_it_saw(two)
        two.sees("was frozen meanwhile by A. Person with this very report: nothing is left to freeze")
        assert [frozen.by for frozen in ours.life.frozen.values()] == ["A. Person"]

        # No answer comes: one safe step is left.
        one.open(f"{BOARD}/close")
        one.send("Take the next step now")
        one.work_ends(f"{BOARD}/close")
        one.sees("The answer never came. The one safe step is to ask")
        ours.clock.at += 3600  # the session is over, too
        one.enter(ours.parts.make_link("A. Person"))
        one.open(f"{BOARD}/close")
        assert not one.button("Take the next step now").count()
        one.send("Ask the filing service what became of it")
        one.work_ends(f"{BOARD}/close")
        (entry,) = ours.service.submissions.entries.values()
        one.sees(entry.receipt)
        assert one.troubles + two.troubles == []
