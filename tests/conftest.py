"""What all tests share: how hypothesis searches, and how deep Python may recurse.

The same examples everywhere, so that a run that fails on one machine fails on all; `HYPOTHESIS_PROFILE=search` looks for new ones. A machine
under load is no failure: neither a slow example nor a slow generator counts.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any, cast

import polars  # noqa: F401 - before the line on pandas below: it asks for it once, when it is imported
from hypothesis import HealthCheck, settings

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", parent=UNHURRIED, derandomize=True, database=None)
settings.register_profile("search", parent=UNHURRIED, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if importlib.util.find_spec("pandas") is None:
    # DuckDB tries to import pandas for each value of each statement, and pytest's own finder makes every failure dear: a sixth of the simulator's time.
    cast("dict[str, Any]", sys.modules)["pandas"] = None
# jsonschema compiles 38 grammars of RFC 3987 when it is imported, for formats that no schema of ours names: five seconds of each worker.
cast("dict[str, Any]", sys.modules)["rfc3987_syntax"] = None

USUAL_LIMIT = sys.getrecursionlimit()


def pytest_collection_finish() -> None:
    """eth_account, which some tests import, lifts the limit a hundredfold: the program runs with the usual one, and so do its tests."""
    sys.setrecursionlimit(USUAL_LIMIT)


os.environ["ESEP_LANG"] = "en"
"""Tests read English, whatever the machine speaks; those of other languages say so."""
