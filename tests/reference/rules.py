"""The rules once more, slowly: one dictionary at a time, to be read beside `RULES.md` and believed.

Enters: the facts by the names and columns of `pipeline.enrich.frames.SHAPES`, as lists of dictionaries (`tables_of`
makes them of frames), the month and the rules' parameters. Leaves: the tables of `pipeline.enrich.frames.Enriched`, as
lists of dictionaries with the same columns. By rules 2 to 7 and 9. It shares nothing with the vectorised enrichment but
the nouns in `pipeline.model.rules`, and has no thought for speed: where the two differ, one has misread.
"""

from __future__ import annotations

from pipeline.enrich.frames import SHAPES, Facts
from pipeline.model.months import Month
from pipeline.model.rules import Rules

from .accounts import check_accounts
from .matching import add_payers, explain_all, link_payments, transfers_of, write_credits
from .outflows import classify, write_balances
from .registry import Case, Outcome, Tables, check_registry
from .rows import write_report
from .settlement import check_twice, settle_all


def tables_of(facts: Facts) -> Tables:
    """The frames as lists of dictionaries."""
    return {name: getattr(facts, name).to_dicts() for name in SHAPES}


def apply_rules(facts: Tables, month: Month, rules: Rules) -> Outcome:
    """Rules 3 to 7 over the facts of a month."""
    case = Case(facts, month, rules)
    every_output = classify(case)
    write_balances(case)
    check_registry(case)
    check_accounts(case)
    check_twice(case)
    transfers = transfers_of(case, every_output)
    link_payments(case, transfers)
    explain_all(case, transfers)
    transfers = add_payers(case, transfers)
    write_credits(case, transfers)
    settle_all(case, transfers)
    write_report(case)
    case.out.issues = case.issues()
    return case.out
