"""The laws that imports keep (ADR 1, law 5): who may know whom, and that the core is told the time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EDGE = {"app", "service", "demo", "cli", "web"}
"""What joins the core to the world: the composition root and what stands above it."""
ABOVE = ("connectors", "pipeline.app", "pipeline.cli", "pipeline.demo", "pipeline.web")

OUTSIDE = {("os", "environ"), ("os", "getenv"), ("Path", "home"), ("date", "today")}
OUTSIDE |= {("time", name) for name in ("time", "time_ns", "monotonic", "sleep")}
OUTSIDE |= {("datetime", name) for name in ("now", "utcnow", "today")}
NETWORK = ("socket", "urllib.request", "http.client", "httpx", "requests", "asyncio", "ssl")


def modules(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"no modules in {room}"
    return found


def core() -> list[Path]:
    return [path for path in modules("pipeline") if path.relative_to(ROOT / "pipeline").parts[0] not in EDGE]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(source: str, name: str) -> Iterator[str]:
    """Absolute names of everything that the module of that name imports, wherever in it."""
    package = Path(name).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_below(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def faults_of_core(source: str, name: str) -> list[str]:
    faults = []
    for other in imported(source, name):
        if is_below(other, ABOVE):
            faults.append(f"{name} knows {other}")
        if is_below(other, NETWORK) or tuple(other.split(".")[-2:]) in OUTSIDE:
            faults.append(f"{name} imports {other}")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr if isinstance(node.value, ast.Attribute) else ""
            if (owner, node.attr) in OUTSIDE or node.attr == "expanduser":
                faults.append(f"{name}:{node.lineno} reads {owner}.{node.attr}")
    return faults


def faults_of_connector(source: str, name: str) -> list[str]:
    room = ".".join(Path(name).with_suffix("").parts[:2])
    faults = []
    for other in imported(source, name):
        if is_below(other, ("connectors",)) and not is_below(other, (room,)) and other != "connectors":
            faults.append(f"{name} knows {other}")
        if is_below(other, ABOVE[1:]):
            faults.append(f"{name} knows {other}")
    return faults


def broad_excepts(source: str, name: str) -> list[str]:
    """Handlers of everything that don't end in a raise: around a foreign library one may put words to what it throws, never swallow it."""
    return [
        f"{name}:{node.lineno} swallows everything"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")))
        and not isinstance(node.body[-1], ast.Raise)
    ]


@pytest.mark.parametrize("path", core(), ids=name_of)
def test_the_core_knows_no_connector_and_is_told_what_time_it_is(path: Path) -> None:
    assert faults_of_core(path.read_text(encoding="utf-8"), name_of(path)) == []


@pytest.mark.parametrize("path", modules("connectors"), ids=name_of)
def test_connectors_never_know_each_other(path: Path) -> None:
    assert faults_of_connector(path.read_text(encoding="utf-8"), name_of(path)) == []


@pytest.mark.parametrize("path", modules("pipeline") + modules("connectors"), ids=name_of)
def test_every_module_says_what_it_is_and_stays_one_room(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), f"{name_of(path)} has no docstring"
    assert len(source.splitlines()) <= 400, f"{name_of(path)} asks for two rooms"
    if path.name != "frame.py":
        assert broad_excepts(source, name_of(path)) == []


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("from ..app import App", ["knows pipeline.app", "knows pipeline.app.App"]),
        ("import connectors.bitcoin.rpc", ["knows connectors.bitcoin.rpc"]),
        ("def f():\n    import httpx", ["imports httpx"]),
        ("from time import time", ["imports time.time"]),
        ("import time\ntime.time()", [":2 reads time.time"]),
        ("import datetime\ndatetime.datetime.now()", [":2 reads datetime.now"]),
        ("import os\nos.environ['X']", [":2 reads os.environ"]),
        ("from os import environ", ["imports os.environ"]),
        ("from ..model import Month\nimport polars", []),
    ],
)
def test_the_check_of_the_core_sees_what_it_forbids(source: str, faults: list[str]) -> None:
    found = faults_of_core(source, "pipeline/store/never.py")
    assert len(found) == len(faults) and all(fault in line for fault, line in zip(faults, found, strict=True)), found


def test_the_check_of_connectors_sees_what_it_forbids() -> None:
    assert faults_of_connector("from connectors.files import x", "connectors/bitcoin/never.py") != []
    assert faults_of_connector("from ..log_sqlite import x", "connectors/bitcoin/never.py") != []
    assert faults_of_connector("from pipeline.app.app import x", "connectors/bitcoin/never.py") != []
    assert faults_of_connector("from .rpc import x\nfrom pipeline.log.protocol import EventLog", "connectors/bitcoin/never.py") == []
    assert broad_excepts("try:\n    x\nexcept Exception:\n    pass", "x.py") != []
    assert broad_excepts("try:\n    x\nexcept:\n    pass", "x.py") != []
    assert broad_excepts("try:\n    x\nexcept Exception as e:\n    raise ValueError from e", "x.py") == []
