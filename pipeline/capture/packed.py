"""A dictionary most of whose values lie packed, as bytes of a checkpoint, until somebody asks for them.

Enters: packed values by key (`load`). Leaves: values as they are asked for, and all of them packed (`dump`). A source has many rows, and a look concerns few: so old ones cost neither
time at the start nor the memory of objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar

import msgspec

V = TypeVar("V")
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Packed(MutableMapping[str, V], Generic[V]):
    """By key, in no certain order. `pack` gives what msgpack can carry, `unpack` takes it back."""

    def __init__(self, pack: Callable[[V], Any], unpack: Callable[[Any], V]) -> None:
        self._pack, self._unpack = pack, unpack
        self._open: dict[str, V] = {}
        self._packed: dict[str, msgspec.Raw] = {}

    def __getitem__(self, key: str) -> V:
        if (raw := self._packed.pop(key, None)) is not None:
            self._open[key] = self._unpack(_decode(raw))
        return self._open[key]

    def __setitem__(self, key: str, value: V) -> None:
        self._packed.pop(key, None)
        self._open[key] = value

    def __delitem__(self, key: str) -> None:
        if self._packed.pop(key, None) is None:
            del self._open[key]

    def __contains__(self, key: object) -> bool:
        return key in self._open or key in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter([*self._packed, *self._open])

    def __len__(self) -> int:
        return len(self._open) + len(self._packed)

    def load(self, packed: dict[str, msgspec.Raw]) -> None:
        """Take packed values in place of all that it has."""
        self._open, self._packed = {}, packed

    def dump(self) -> dict[str, msgspec.Raw]:
        """All values, packed."""
        return self._packed | {key: msgspec.Raw(_encode(self._pack(value))) for key, value in self._open.items()}
