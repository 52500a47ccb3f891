"""Layers in index notation, their gradients, and the proofs: `Layer`, `axes`, `tensors`, `derive`.

Names are loaded when they are first used, so that a command which needs no SymPy does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derive.composition import compose as compose
    from derive.composition import wire as wire
    from derive.engine import Derivation as Derivation
    from derive.engine import derive as derive
    from derive.errors import SpecError as SpecError
    from derive.matrix_symbols import det as det
    from derive.matrix_symbols import inv as inv
    from derive.matrix_symbols import logdet as logdet
    from derive.scalar import max_over as max_over
    from derive.scalar import position as position
    from derive.scalar import relu as relu
    from derive.scalar import sigmoid as sigmoid
    from derive.scalar import softplus as softplus
    from derive.scalar import xlogy as xlogy
    from derive.spec import Layer as Layer
    from derive.symbols import axes as axes
    from derive.symbols import tensors as tensors

_HOMES = {
    "Derivation": "derive.engine",
    "Layer": "derive.spec",
    "SpecError": "derive.errors",
    "axes": "derive.symbols",
    "compose": "derive.composition",
    "derive": "derive.engine",
    "det": "derive.matrix_symbols",
    "inv": "derive.matrix_symbols",
    "logdet": "derive.matrix_symbols",
    "max_over": "derive.scalar",
    "position": "derive.scalar",
    "relu": "derive.scalar",
    "sigmoid": "derive.scalar",
    "softplus": "derive.scalar",
    "tensors": "derive.symbols",
    "wire": "derive.composition",
    "xlogy": "derive.scalar",
}

__all__ = [
    "Derivation",
    "Layer",
    "SpecError",
    "axes",
    "compose",
    "derive",
    "det",
    "inv",
    "logdet",
    "max_over",
    "position",
    "relu",
    "sigmoid",
    "softplus",
    "tensors",
    "wire",
    "xlogy",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
