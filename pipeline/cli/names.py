"""Are the names that the wheel installs Esep's own? (ADR 10)

`pipeline` and `connectors` are common words: another distribution, or a folder on PYTHONPATH, may offer a package of the same name. Enters:
the path that Python searches. Leaves: nothing, or an error that says which folder stands in the way.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipeline.model.errors import SettingsError
from pipeline.model.message import message


def check_names() -> None:
    """Raises SettingsError when `connectors` is not the package that came with this `pipeline`. Imports nothing."""
    own = Path(__file__).resolve().parents[2]
    spec = find_spec("connectors")
    found = Path(spec.origin).resolve().parents[1] if spec is not None and spec.origin is not None else None
    if found != own:
        what = message("is taken by {found}", found=found / "connectors") if found is not None else message("is not Esep's, or not there")
        raise SettingsError(
            [
                message(
                    "the package name 'connectors' {what}, and Esep's own is in {own}: install Esep in an environment of its own (venv, pipx, uv)",
                    what=what,
                    own=own,
                )
            ],
            source="",
        )
