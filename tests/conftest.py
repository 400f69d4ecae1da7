"""What all tests share: how hypothesis searches, and how deep Python may recurse.

The same examples everywhere, so that a run that fails on one machine fails on all; `HYPOTHESIS_PROFILE=search` looks for new ones. A machine
under load is no failure: neither a slow example nor a slow generator counts.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, cast

import polars  # noqa: F401 - before the line on pandas below: it asks for it once, when it is imported
import pytest
from hypothesis import HealthCheck, settings

from pipeline.cli import COLLECTOR

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", parent=UNHURRIED, derandomize=True, database=None)
settings.register_profile("search", parent=UNHURRIED, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if importlib.util.find_spec("pandas") is None:
    # DuckDB tries to import pandas for each value of each statement, and pytest's own finder makes every failure dear: a sixth of the simulator's time.
    cast("dict[str, Any]", sys.modules)["pandas"] = None
# jsonschema compiles 38 grammars of RFC 3987 when it is imported, for formats that no schema of ours names: five seconds of each worker.
cast("dict[str, Any]", sys.modules)["rfc3987_syntax"] = None

LONG = (
    "simulation/test_fire.py",
    "forgery/test_catalogue.py",
    "properties/test_rules_differential.py",
    "integration/test_evm_fuzz.py",
    "integration/test_verifier_alone.py",
    "integration/test_cli.py",
    "integration/test_filed_once.py",
    "integration/test_two_nodes.py",
    "integration/test_console_old.py",
    "integration/test_every_fault_apart.py",
    "forgery/test_manifest.py",
    "integration/test_console_pages.py",
    "properties/test_checkpoints.py",
    "integration/test_two_nodes_accounts.py",
    "simulation/test_fire_accounts.py",
    "properties/test_keys.py",
    "forgery/test_shapes.py",
    "properties/test_ingest.py",
    "integration/test_console_access.py",
    "integration/test_screens.py",
    "integration/test_closing.py",
    "integration/test_console_keys.py",
    "forgery/test_nonces.py",
    "forgery/test_omission.py",
    "simulation/test_evm_payers.py",
    "properties/test_import_fuzz.py",
    "properties/test_rules.py",
    "properties/test_opening.py",
    "integration/test_freeze_filters.py",
    "integration/test_console_api.py",
    "integration/test_load.py",
    "integration/test_public_time.py",
    "simulation/test_closing_on_a_chain.py",
    "integration/test_console.py",
    "contract/test_kafka_lease.py",
    "integration/test_wheel.py",
    "integration/test_bundle_tampering.py",
    "integration/test_close_in_run.py",
    "integration/test_start.py",
    "integration/test_bitcoin_fuzz.py",
    "integration/test_freeze_descriptors.py",
    "unit/render/test_xlsx.py",
    "integration/test_keys.py",
    "integration/test_security.py",
    "integration/test_bitcoin_follow.py",
    "integration/test_kept.py",
    "properties/test_debts.py",
    "integration/test_evm_undecided.py",
    "integration/test_copies.py",
    "integration/test_timestamps.py",
    "integration/test_explain.py",
    "forgery/test_descriptors.py",
    "integration/test_lint.py",
    "integration/test_log_moved.py",
    "contract/test_kafka_closer.py",
    "integration/test_console_sources.py",
    "integration/test_console_hostile.py",
    "integration/test_settings_load.py",
)
"""Files that take fifteen seconds of processor time or more, or that wait as long, the longest first: so they are begun, and no long one is left for the end of two workers."""

USUAL_LIMIT = sys.getrecursionlimit()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of `LONG` in its order, then the others as they were found."""
    here, places = Path(__file__).parent, {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.relative_to(here).as_posix(), len(LONG)))


def pytest_collection_finish() -> None:
    """Tests run as the program does: with its rule of when Python looks for cycles, and the usual limit, which eth_account, that some of them import, lifts a hundredfold.

    What was loaded until now stays: it is not looked through again.
    """
    sys.setrecursionlimit(USUAL_LIMIT)
    gc.set_threshold(*COLLECTOR)
    gc.collect()
    gc.freeze()


os.environ["ESEP_LANG"] = "en"
"""Tests read English, whatever the machine speaks; those of other languages say so."""
