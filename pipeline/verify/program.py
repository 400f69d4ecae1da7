"""The verifier as a program of its own: what an auditor runs, with no broker, node, store or scheduler (ADR 16).

Enters: arguments. Leaves: text or JSON on stdout, trouble on stderr, and the exit codes of `esep verify`. `python -m pipeline.verify` and the file that
`make verifier` makes are this program; `esep verify` makes the same checks and says the same, and finds a month's bundle by the pool's settings.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pipeline.model.errors import DiskError, EsepError, SettingsError
from pipeline.model.plain import UNSEEN, plain

from .bundle import verify_bundle
from .decisions import load_root_key
from .finding import judge
from .public_time import load_headers
from .receipts import check_receipt
from .signatures import load_trusted
from .telling import as_json, list_lines, outcome, summary

CRASHED = 70
INTERRUPTED = 130
EPILOG = (
    "Exit codes: 0 all is proved that can be, and signed where --trust is given; 8 a check fails; 13 all hold, but something in the bundle can't be "
    "checked here; 2 wrong arguments; 12 a file can't be read; 70 a defect of this program."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the arguments name; the exit code. Every failure is one message on stderr."""
    try:
        return _run(_parser().parse_args(arguments))
    except EsepError as error:
        _fail(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _fail("interrupted")
        return INTERRUPTED
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror}")
        return DiskError.exit_code
    except Exception:  # noqa: BLE001 - the outermost frame of the process
        _fail("a defect of this program; send what follows to its maintainers")
        traceback.print_exc()
        return CRASHED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="esep-verify", description="Check a frozen month's bundle, offline, with nothing but the bundle.", epilog=EPILOG
    )
    parser.add_argument("bundle", type=Path, nargs="?", metavar="DIR", help="the bundle's folder; with --receipt a manifest will do")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="a miner's receipt: whether its rows stand in the report")
    parser.add_argument("--root", metavar="HEX", help="the root that the pool published, to check a receipt against without a bundle")
    parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="certificates of the authorities that signers must stand under, PEM; asks for signatures"
    )
    parser.add_argument("--root-key", metavar="HEX|FILE", help="the pool's root key: a bundle of another one does not hold")
    parser.add_argument(
        "--test-network", action="store_true", help="the chain is a test network, without work behind it: do not ask for any"
    )
    parser.add_argument(
        "--headers",
        type=Path,
        metavar="FILE",
        help="headers of Bitcoin that you have, as a bundle's evidence/headers.csv: for public time stamps",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for scripts, on one line")
    parser.add_argument("--version", action="version", version=f"esep-verify {version('esep')}")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.receipt is not None:
        checks = check_receipt(options.receipt, options.root, options.bundle)
        what = options.receipt
    elif options.bundle is None or options.root is not None:
        raise SettingsError(["DIR is needed; --root goes with --receipt"], source="esep-verify")
    else:
        trusted = load_trusted(options.trust) if options.trust is not None else []
        checks = verify_bundle(
            options.bundle,
            trusted=trusted,
            headers=load_headers(options.headers) if options.headers is not None else {},
            root_key=load_root_key(options.root_key) if options.root_key is not None else None,
        )
        what = options.bundle
    verdict = judge(checks, is_test_network=options.test_network)
    if options.json:
        text = json.dumps(as_json(checks, verdict, what), ensure_ascii=False, separators=(",", ":"))
        print(UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    else:
        print(plain(f"{what}\n"))
        for check in checks:
            print(plain(f"{outcome(check):10} {check.name}: {check.detail or check.undecided or check.not_checked}"))
        print("\n" + "\n".join(plain(line) for line in list_lines(verdict)))
    if said := summary(checks, verdict, what):
        _fail(said)
    return verdict.exit_code


def _fail(text: str) -> None:
    print(f"esep-verify: {plain(text)}", file=sys.stderr)
