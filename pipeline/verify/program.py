"""The verifier as a program of its own: what an auditor runs, with no broker, node, store or scheduler (ADR 16).

Enters: arguments, and the language that ESEP_LANG or the locale asks for. Leaves: text in that language or JSON on stdout, trouble on stderr, and the exit
codes of `esep verify`. `python -m pipeline.verify` and the file that
`make verifier` makes are this program; `esep verify` makes the same checks and says the same, and finds a month's bundle by the pool's settings.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Final, Never

from pipeline.model.errors import DiskError, EsepError, SettingsError
from pipeline.model.message import message, text_of
from pipeline.model.plain import UNSEEN, plain
from pipeline.model.system_words import system_words
from pipeline.texts import N_, Texts, terminal_language, texts

from .bundle import verify_bundle
from .decisions import load_root_key
from .finding import judge
from .given import load_headers, load_trusted, require_folder
from .receipts import check_receipt
from .telling import as_json, list_lines, outcome, summary

CRASHED = 70
INTERRUPTED = 130
_EPILOG: Final = N_(
    "Exit codes: 0 all is proved that can be, and signed where --trust is given; 8 a check fails; 13 all hold, but something in the bundle can't be "
    "checked here; 2 wrong arguments; 12 a file can't be read; 70 a defect of this program."
)
_USAGE_ERRORS: Final = (
    N_("argument {name}: expected one argument"),
    N_("argument {name}: ignored explicit argument {value}"),
    N_("unrecognized arguments: {values}"),
    N_("ambiguous option: {option} could match {others}"),
)
"""What argparse says about a wrong command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments name; the exit code. Every failure is one message on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Cyrillic letters still shows what it can
    try:
        words = texts(terminal_language(os.environ))  # noqa: TID251 - the outermost frame of a process
    except ValueError as error:
        words = texts("en")
        _fail(text_of(error), words)
        return SettingsError.exit_code
    try:
        return _run(_parser(words).parse_args(arguments), words)
    except EsepError as error:
        _fail(text_of(error), words)
        return error.exit_code
    except KeyboardInterrupt:
        _fail(message("interrupted"), words)
        return INTERRUPTED
    except OSError as error:
        _fail(message("{file}: {trouble}", file=error.filename or message("a file"), trouble=system_words(error)), words)
        return DiskError.exit_code
    except Exception:  # noqa: BLE001 - the outermost frame of the process
        _fail(message("a defect of this program; send what follows to its maintainers"), words)
        traceback.print_exc()
        return CRASHED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in the reader's language."""

    words = texts("en")

    def error(self, message: str) -> Never:
        self.exit(SettingsError.exit_code, f"{self.format_usage()}{self.prog}: {plain(self.words.recognised(message, _USAGE_ERRORS))}\n")

    def format_usage(self) -> str:
        return super().format_usage().replace("usage: ", self.words.gettext(N_("usage: ")), 1)

    def format_help(self) -> str:
        return super().format_help().replace("usage: ", self.words.gettext("usage: "), 1)


def _parser(words: Texts) -> argparse.ArgumentParser:
    say = words.gettext_plain
    parser = _Parser(
        prog="esep-verify", description=say(N_("Check a frozen month's bundle, offline, with nothing but the bundle.")),
        epilog=say(_EPILOG), add_help=False,
    )  # fmt: skip
    parser.words = words
    what = parser.add_argument_group(say(N_("Arguments")))
    what.add_argument("bundle", type=Path, nargs="?", metavar="DIR", help=say(N_("the bundle's folder; with --receipt a manifest will do")))
    options = parser.add_argument_group(say(N_("Options")))
    for name, metavar, help_text in (
        ("--receipt", "FILE", N_("a miner's receipt: whether its rows stand in the report")),
        ("--root", "HEX", N_("the root that the pool published, to check a receipt against without a bundle")),
        ("--trust", "FILE", N_("certificates of the authorities that signers must stand under, PEM; asks for signatures")),
        ("--root-key", "HEX|FILE", N_("the pool's root key: a bundle of another one does not hold")),
        ("--headers", "FILE", N_("headers of Bitcoin that you have, as a bundle's evidence/headers.csv: for public time stamps")),
    ):
        options.add_argument(name, type=Path if metavar == "FILE" else str, metavar=metavar, help=say(help_text))
    for name, help_text in (
        ("--test-network", N_("the chain is a test network, without work behind it: do not ask for any")),
        ("--json", N_("print JSON for scripts, on one line, in English")),
    ):
        options.add_argument(name, action="store_true", help=say(help_text))
    options.add_argument(
        "--version", action="version", version=f"esep-verify {version('esep')}", help=say(N_("Show the version and exit."))
    )
    options.add_argument("-h", "--help", action="help", help=say(N_("Show this message and exit.")))
    return parser


def _run(options: argparse.Namespace, words: Texts) -> int:
    if options.receipt is not None:
        checks = check_receipt(options.receipt, options.root, options.bundle)
        what = options.receipt
    elif options.bundle is None or options.root is not None:
        raise SettingsError([message("DIR is needed; --root goes with --receipt")], source="")
    else:
        trusted = load_trusted(options.trust) if options.trust is not None else []
        headers = load_headers(options.headers) if options.headers is not None else {}
        root_key = load_root_key(options.root_key) if options.root_key is not None else None
        require_folder(options.bundle)
        checks = verify_bundle(options.bundle, trusted=trusted, headers=headers, root_key=root_key)
        what = options.bundle
    verdict = judge(checks, is_test_network=options.test_network)
    if options.json:
        text = json.dumps(as_json(checks, verdict, what), ensure_ascii=False, separators=(",", ":"))
        print(UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    else:
        print(plain(f"{what}\n"))
        outcomes = [words.tell(outcome(check)) for check in checks]
        for check, came_to in zip(checks, outcomes, strict=True):
            named = message("{name}: {text}", name=check.name, text=check.detail or check.undecided or check.not_checked)
            print(plain(f"{came_to:{max(map(len, outcomes)) + 1}} {words.tell(named)}"))
        print("\n" + "\n".join(plain(words.tell(line)) for line in list_lines(verdict)))
    if said := summary(checks, verdict, what):
        _fail(said, words)
    return verdict.exit_code


def _fail(text: str, words: Texts) -> None:
    print(f"esep-verify: {plain(words.tell(text))}", file=sys.stderr)
