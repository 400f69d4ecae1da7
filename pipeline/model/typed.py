"""Decodes bytes, and plain values, into types: the one place in which a type's decoder is made.

msgspec 0.22 works out what a `Struct` holds when a decoder of it is first made, and other threads can use it before that is finished: they read what is not
there yet, and the process ends with a segmentation fault. So decoders are made one at a time, and kept.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar, overload

import msgspec

_T = TypeVar("_T")
_made: dict[tuple[type[Any], Any], Any] = {}
_making = threading.Lock()


@overload
def decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]: ...
@overload
def decoder(kind: Any) -> msgspec.json.Decoder[Any]: ...
def decoder(kind: Any) -> Any:
    """The decoder of JSON into `kind`: a type, or a union of types. Thread-safe."""
    return _made_once(msgspec.json.Decoder, kind)


def msgpack_decoder(kind: type[_T]) -> msgspec.msgpack.Decoder[_T]:
    """As `decoder`, of MessagePack."""
    made: msgspec.msgpack.Decoder[_T] = _made_once(msgspec.msgpack.Decoder, kind)
    return made


def convert(value: Any, kind: type[_T]) -> _T:
    """A plain value as `kind`. Thread-safe. Raises `msgspec.ValidationError`, with the path of the fault."""
    decoder(kind)
    return msgspec.convert(value, kind)


def _made_once(make: type[Any], kind: Any) -> Any:
    found = _made.get((make, kind))
    if found is None:
        with _making:
            found = _made.get((make, kind)) or _made.setdefault((make, kind), make(kind))
    return found
