"""The terminal speaks the reader's language: what is printed goes through the catalogue, and screens stand in kk and ru at 80 columns."""

import ast
import re
from datetime import date
from pathlib import Path

import pytest

import pipeline.cli
import pipeline.demo
from pipeline.cli.commands import build
from pipeline.cli.frame import EXIT_CODES, break_line, fail, run, say
from pipeline.cli.help_texts import epilog, help_messages, translate_help
from pipeline.cli.words import cause_of_row, state_word
from pipeline.closing.row_changes import _difference
from pipeline.closing.submission import State
from pipeline.log.events.months import DraftedRow
from pipeline.model.errors import SettingsError
from pipeline.model.message import Amount, message, text_of
from pipeline.texts import texts
from pipeline.texts.collect import TRANSLATED, has_words

PRINTING = {"say": 1, "tell_people": 1, "say_field": 2, "say_fields": 1, "fail": 1, "progress": 1, "table": 1}
"""The functions that show a person something, and how many of their first arguments are texts."""
ALLOWED = {
    "esep {}": "the program's name and version",
}
"""Literals that are the same in every language."""


def literals(call: ast.Call, count: int) -> list[str]:
    """What stands in full in the first arguments of a call, `{}` for what is filled in; what stands within calls there is not looked into."""
    found = []
    waiting: list[ast.expr] = list(call.args[:count])
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
        elif isinstance(node, ast.IfExp):
            waiting += [node.body, node.orelse]
        elif isinstance(node, ast.BinOp):
            waiting += [node.left, node.right]
        elif isinstance(node, ast.BoolOp):
            waiting += node.values
    return found


def test_what_is_printed_for_people_goes_through_the_catalogue() -> None:
    faults = []
    for path in sorted((*Path(pipeline.cli.__file__).parent.glob("*.py"), *Path(pipeline.demo.__file__).parent.glob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PRINTING:
                said = literals(node, PRINTING[node.func.id])
                faults += [
                    f"{path.name}:{node.lineno}: {text!r}" for text in said if has_words(text.replace("{}", "")) and text not in ALLOWED
                ]
    assert faults == [], "wrap these in message(…), and run make texts"


def test_every_help_text_is_translated_and_examples_are_not() -> None:
    english = help_messages(build())
    assert len(english) > 200
    for language in TRANSLATED:
        command = build()
        translate_help(command, texts(language))
        own = help_messages(command)
        assert not {text for text in own if text in english and len(text) > 40}, language
    translate_help(build(), texts("en"))


@pytest.mark.parametrize(
    ("language", "said"),
    [("kk", "Айды бекіту: жіберілетін буманы жазу"), ("ru", "Зафиксировать месяц: записать отправляемый пакет")],
)
def test_help_is_in_the_language_of_the_terminal(
    language: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESEP_LANG", language)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(build(), ["freeze", "--help"], prepare=translate_help) == 0
    shown = capsys.readouterr().out
    assert said in shown and "esep freeze 2026-10 --by" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    monkeypatch.setenv("ESEP_LANG", "en")
    assert run(build(), ["approve", "--help"], prepare=translate_help) == 0
    assert "Needed where [closing] asks" in " ".join(capsys.readouterr().out.split()), "words in brackets are no markup"


def test_a_group_without_a_command_shows_its_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ([], ["import"], ["keys"]):
        assert run(build(), group) == 2
        shown = capsys.readouterr()
        assert "--help" in shown.out + shown.err and "Error" not in shown.out + shown.err


def test_a_wrong_command_line_is_told_in_the_language(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ESEP_LANG", "ru")
    assert run(build(), ["freeze"]) == 2
    assert "Не указан аргумент 'MONTH'." in capsys.readouterr().err
    assert run(build(), ["rule", "99.9"]) == 2
    assert capsys.readouterr().err.startswith("esep rule: NUMBER: нет правила '99.9': список даёт esep rule"), "the program is named once"
    assert run(build(), ["explain", "2026-10", "A1"], prepare=translate_help) == 2
    said = capsys.readouterr().err
    assert "Недопустимое значение 'ROW': напишите целое число" in said and "esep explain [ПАРАМЕТРЫ] MONTH ROW" in said
    assert run(build(), ["explain", "2026-10", "0"], prepare=translate_help) == 2
    assert "напишите 1 или больше" in capsys.readouterr().err


def test_exit_codes_stand_in_their_order() -> None:
    codes = [int(code) for code in re.findall(r"(?:: |; )([0-9]+) ", epilog(texts("en")))]
    assert len(codes) == len(EXIT_CODES) and codes == sorted(codes)


def test_amounts_and_days_within_a_sentence_are_written_as_the_language_does() -> None:
    said = message("{amount} of {asset} on {day}", amount=Amount("1234.50000000"), asset="BTC", day=date(2026, 10, 31))
    assert str(said) == "1234.50000000 of BTC on 2026-10-31"
    assert texts("ru").tell(said) == "1\N{NO-BREAK SPACE}234,50000000 of BTC on 31.10.2026"


def test_a_language_that_esep_does_not_speak_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ESEP_LANG", "de")
    assert run(build(), ["rule", "5.3"]) == 2
    assert "ESEP_LANG: 'de': say one of kk, ru, en" in capsys.readouterr().err


def test_data_and_messages_side_by_side(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ESEP_LANG", "kk")
    say("open")
    say(message("{month} v{version} is {state}", month="2026-10", version=1, state=state_word(State.FROZEN)))
    fail(text_of(SettingsError([message("MONTH: {error}", error="x"), "y"], source="esep")))
    shown = capsys.readouterr()
    assert shown.out == "open\n2026-10 v1 бекітілді\n", "data stays as it is"
    assert shown.err == "esep: esep: 2 қате\n  - MONTH: x\n  - y\n"


@pytest.mark.parametrize("language", TRANSLATED)
def test_long_words_break_at_spaces_within_80_columns(language: str) -> None:
    words = texts(language)  # type: ignore[arg-type]
    said = words.tell(
        message(
            "See what differs: esep amend {month}; with --by and --reason it freezes v{next_version}. To file v{version} anyway: esep approve {month} --as-frozen "
            "--by NAME --reason TEXT",
            version=1, month="2026-10", next_version=2,
        )
    )  # fmt: skip
    assert "esep approve 2026-10 --as-frozen" in said and "See what differs" not in said
    lines = break_line(said, 80, hang=2)
    assert len(lines) > 1 and max(map(len, lines)) <= 80


def test_a_column_that_would_be_empty_says_so_and_its_amounts_have_the_marks_of_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _difference("commission_asset_amount", "0.00025638", "") == "Commission: 0.00025638 → (empty)"
    monkeypatch.setenv("ESEP_LANG", "ru")
    assert texts("ru").tell(_difference("commission_asset_amount", "0.00025638", "")) == "Комиссия: 0,00025638 → (пусто)"


def test_a_row_is_followed_by_its_allocation_and_the_beginning_of_its_transaction() -> None:
    row = DraftedRow(change="added", allocation_id="A2", txid="b" * 64, cause="ledger", follows="A 1 " + "c" * 64)
    assert cause_of_row(row) == "ledger, follows A 1 " + "c" * 16
