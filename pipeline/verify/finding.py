"""The result of one check of a bundle, and the verdict on all of them: three lists and an exit code.

Enters: `Finding`s. Leaves: `Check`s, and the `Verdict` on them: what is proved, what is taken on the signer's word, what is not checked. A bundle whose
checks all hold may still not be proved: where its chain has no work behind it, or an algorithm can't be computed here. The exit code keeps these apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.model.errors import UndecidedError, VerifyError
from pipeline.model.message import message

ON_CHAIN = ("headers", "proofs", "reported transfers", "facts against chain", "account balances", "coins", "filters", "nonces", "wallets")
"""The checks whose result rests on the work behind the bundle's headers."""
WORK = message("work")
"""The check of that work."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    faults: list[str]
    """What is wrong, and where; none when the check holds."""
    proved: str
    """What is proved if there are no faults; "" if the check proves nothing here."""
    not_checked: str = ""
    """What the check can't cover, as text: no bundle can prove it offline."""
    on_word: tuple[str, ...] = ()
    """What has to be taken on the signer's word."""
    undecided: str = ""
    """What this bundle contains that can't be checked on this machine."""
    is_test_only: bool = False
    """Whether the only undecided thing is that a test network has no proof of work."""


@dataclass(frozen=True)
class Check:
    """A check's name, whether it holds, and its result as text."""

    name: str
    holds: bool
    detail: str
    not_checked: str = ""
    on_word: tuple[str, ...] = ()
    undecided: str = ""
    is_test_only: bool = False


@dataclass(frozen=True)
class Verdict:
    """The checks' results taken together."""

    proved: list[str]
    on_signers_word: list[str]
    not_checked: list[str]
    faults: list[str]
    """The checks that fail, with what is wrong."""
    exit_code: int
    """0: all is proved that can be. 8: a check fails. 13: all hold, but something in the bundle can't be checked here."""

    @property
    def holds(self) -> bool:
        return not self.faults


def judge(checks: Sequence[Check], *, is_test_network: bool = False) -> Verdict:
    """The verdict on a bundle's checks. `is_test_network`: the caller states that its chain is a test network without proof of work."""
    no_work = next((check.undecided for check in checks if check.name == WORK), "")
    proved: list[str] = []
    on_word: list[str] = []
    not_checked: list[str] = []
    undecided = False
    for check in checks:
        on_word += check.on_word
        if check.holds and check.detail:
            if no_work and check.name in ON_CHAIN:
                not_checked.append(
                    message("{name}: {detail}, but the headers prove nothing: {why}", name=check.name, detail=check.detail, why=no_work)
                )
            else:
                proved.append(_named(check, check.detail))
        not_checked += [_named(check, text) for text in (check.undecided, check.not_checked) if text]
        undecided |= bool(check.undecided) and not (is_test_network and check.is_test_only)
    faults = [_named(check, check.detail) for check in checks if not check.holds]
    code = VerifyError.exit_code if faults else UndecidedError.exit_code if undecided else 0
    return Verdict(proved, on_word, not_checked, faults, code)


def _named(check: Check, text: str) -> str:
    return message("{name}: {text}", name=check.name, text=text)
