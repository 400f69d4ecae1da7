from __future__ import annotations

import ast
import threading
from pathlib import Path

import msgspec
import pytest

from pipeline.model import typed
from pipeline.model.typed import convert, decoder

ROOT = Path(__file__).resolve().parents[3]


class Held(msgspec.Struct):
    number: int


def test_a_type_of_json_and_of_plain_values():
    assert decoder(Held).decode(b'{"number": 3}') == Held(3) == convert({"number": 3}, Held)
    assert decoder(Held) is decoder(Held)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.number"):
        convert({"number": "three"}, Held)


def test_threads_that_want_a_decoder_at_once_have_it_made_once_and_one_after_another():
    """A `Struct` whose decoder is being made is half worked out: another thread that decodes it meanwhile ends the process."""
    busy, most, made = 0, 0, []

    def make(kind: object) -> object:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        threading.Event().wait(0.02)
        busy -= 1
        made.append(kind)
        return object()

    kinds, gate = [f"kind {n}" for n in range(3)], threading.Barrier(9)
    threads = [
        threading.Thread(target=lambda kind=kind: (gate.wait(), typed._made_once(make, kind)))
        for kind in kinds * 3  # type: ignore[arg-type]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, sorted(made)) == (1, kinds)  # type: ignore[type-var]


def test_no_other_place_makes_a_decoder_of_a_type():
    def makes(call: ast.Call) -> bool:
        name = ast.unparse(call.func)
        if name in ("msgspec.json.Decoder", "msgspec.msgpack.Decoder"):
            return bool(call.args) or any(each.arg == "type" for each in call.keywords)
        return name == "msgspec.convert" or (
            name in ("msgspec.json.decode", "msgspec.msgpack.decode") and any(each.arg == "type" for each in call.keywords)
        )

    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("pipeline", "connectors")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "pipeline" / "model" / "typed.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and makes(node)
    ]
    assert found == []
