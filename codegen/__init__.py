"""From proofs to kernels: Derivation -> Program -> source text.

`kernel(layer, "torch")` does it in one call. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegen.imported import kernel as kernel

__all__ = ["kernel"]


def __getattr__(name: str) -> Any:
    if name != "kernel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("codegen.imported").kernel
