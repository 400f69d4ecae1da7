"""Names of certificates as authorities write them: Kazakhstan's own has more than the 64 characters that X.520 allows, of which `cryptography` warns each time."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def with_long_names(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, in which a name that is too long is no warning."""

    @functools.wraps(function)
    def quiet(*args: _P.args, **named: _P.kwargs) -> _R:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
            return function(*args, **named)

    return quiet
