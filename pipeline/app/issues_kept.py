"""A month's issues as people read them, computed only if nothing is kept that rests on the same facts and rules (`kept`).

Enters: a pool's `App` and a store filled to the log's end. Leaves: `IssueGroup`s. Groups that a node was asked about are not kept: it may know more the next time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.model.issues import IssueCode
from pipeline.model.months import Month
from pipeline.store import Store

from .advice import Advice
from .issues import IssueGroup, IssueView, issue_groups
from .kept import as_kept

if TYPE_CHECKING:
    from .app import App


def groups_of_month(
    app: App, store: Store, month: Month, *, only: str | None = None, edition: int | None = None, asks_chain: bool = True
) -> list[IssueGroup]:
    """The month's issues, alike ones together, as `issue_groups` gives them. `edition` as in `PoolMonths.assess`. `asks_chain`: whether a node is asked about payments."""
    rules = app.months.rules_of(store, month, edition=edition)
    name, basis = f"{month}-issues-{rules.edition}", app.kept.basis(store, month, rules)
    kept = app.kept.get(name, basis)
    if kept is not None:
        return [group for group in map(_group, kept) if only in (None, group.code.severity.value, group.code.value)]
    state, assessed = app.months.assess(store, month, edition=rules.edition)
    was_asked = False

    def ask(chain: str, txids: Iterable[str]) -> Mapping[str, bool]:
        nonlocal was_asked
        was_asked = True
        if not asks_chain:
            return {}
        from .ask_chain import transactions_on_chain

        return transactions_on_chain(app, chain, txids)

    groups = issue_groups(month, state, assessed, app.rules, only=only, ask_chain=ask)
    if only is None and not was_asked:
        app.kept.put(name, basis, [_form(group) for group in groups])
    return groups


def _form(group: IssueGroup) -> dict[str, Any]:
    return as_kept(group) | {"advice": as_kept(group.advice), "issues": [as_kept(view) for view in group.issues]}


def _group(form: dict[str, Any]) -> IssueGroup:
    issues = [IssueView(**view | {"code": IssueCode(view["code"])}) for view in form["issues"]]
    return IssueGroup(**form | {"code": IssueCode(form["code"]), "advice": Advice(**form["advice"]), "issues": issues})
