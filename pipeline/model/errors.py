"""The exceptions that a person must act on, with the exit codes for scripts.

Wrong data is not here: it is a value (`model.Issue`). A broken assumption is not here either: it is an
`AssertionError` and stops the program.
"""

from __future__ import annotations

from .message import counted, joined, message


class EsepError(Exception):
    """A failure with a message that says what happened, to which thing, and what to do now."""

    exit_code = 1


class SettingsError(EsepError):
    """The settings, or what was said on the command line (`source` ""), can't be used; every fault found is in `faults`."""

    exit_code = 2

    def __init__(self, faults: list[str], *, source: str = "settings") -> None:
        self.faults = faults
        listed = joined("\n  - ", [counted("{count} fault", "{count} faults", len(faults)), *faults])
        said = faults[0] if len(faults) == 1 else listed
        super().__init__(message("{source}: {faults}", source=source, faults=said) if source else said)


class InputRefused(EsepError):
    """A file is refused whole (law 8); `faults` lists every one as `file:line: what`. `hint`: what would have it read whole, where that was tried."""

    exit_code = 4

    def __init__(self, source: str, faults: list[str], *, hint: str = "") -> None:
        self.source = source
        self.faults = faults
        shown = faults[:100]
        head = counted(
            "{source}: refused, nothing was imported; {count} fault(s)",
            "{source}: refused, nothing was imported; {count} fault(s)",
            len(faults),
            source=source,
        )
        more = [message("... and {count} more", count=len(faults) - len(shown))] if len(faults) > len(shown) else []
        more += [hint] if hint else []
        super().__init__(
            joined(
                "\n", [head, *(message("  - {fault}", fault=fault) for fault in shown), *(message("  {more}", more=one) for one in more)]
            )
        )


class ConsentNeeded(EsepError):
    """A file is valid but unusual, and needs a person's consent before it is imported; `questions` lists why."""

    exit_code = 4

    def __init__(self, source: str, questions: list[str]) -> None:
        self.source = source
        self.questions = questions
        listed = joined("\n  - ", questions)
        super().__init__(
            message(
                "{source}: nothing was imported yet; look at this first, and say --yes if it is right:\n  - {questions}",
                source=source,
                questions=listed,
            )
        )


class SourceError(EsepError):
    """A node, or another outside source, can't be read; retried where `is_retryable`."""

    exit_code = 5

    def __init__(self, message: str, *, is_retryable: bool = False) -> None:
        self.is_retryable = is_retryable
        super().__init__(message)


class LogError(EsepError):
    """The event log can't be read or written."""

    exit_code = 6


class FencedError(LogError):
    """Another writer took over this (topic, key): this one must stop, and a supervisor must not start it again."""

    exit_code = 11


class HistoryBroken(LogError):
    """One key's events can't be read or don't follow from each other: whoever continues that key must stop, others may go on."""


class LeaseLost(LogError):
    """Another process took the pool over: this one must not commit any more."""


class StoreError(EsepError):
    """The DuckDB store can't be opened, read or written."""

    exit_code = 7


class StoreLocked(StoreError):
    """Another process, or another opening in this one, has the store."""


class MonthError(EsepError):
    """The month can't make the step asked for; the message lists why, item by item."""

    exit_code = 3


class VerifyError(EsepError):
    """A bundle or a replay failed verification: the message names what differs."""

    exit_code = 8


class UndecidedError(EsepError):
    """A bundle passed all checks that were possible, but something in it can't be checked here: the message names what."""

    exit_code = 13


class SigningError(EsepError):
    """A month can't be signed: the key, its certificate or the signing service; the message says which."""

    exit_code = 9


class DiskError(EsepError):
    """A file can't be written or read: the disk is full, read-only or fails, or this user may not."""

    exit_code = 12


class FilingError(EsepError):
    """A submission can't be made, or can't take the step asked for."""

    exit_code = 10
