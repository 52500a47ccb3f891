"""Functions of a matrix in SymPy specs: `inv(A)[i, j]`, `det(A)`, `logdet(A)`."""

from __future__ import annotations

from typing import Any

import sympy as sp

from derive.errors import SpecError
from derive.symbols import WRITTEN, TensorBase


class MatrixFunction(sp.Function):  # type: ignore[misc]
    """`MatrixFunction(name, of, bound, at)`: `of` is a tensor, or an entry over the two indices `bound`; `at` is where it is read."""

    def _sympystr(self, printer: Any) -> str:
        name, of, bound, at = self.args
        inside = ", ".join(printer.doprint(part) for part in (of, *bound))
        return f"{name}({inside})" + (f"[{', '.join(printer.doprint(index) for index in at)}]" if at else "")


class Inverted:
    """An inverse before it is read at two indices."""

    def __init__(self, of: Any, bound: tuple[Any, ...]) -> None:
        self.of, self.bound = of, bound

    def __getitem__(self, at: Any) -> Any:
        if not isinstance(at, tuple) or len(at) != 2:
            raise SpecError(f"inv({self.of}) is a matrix: read it at two indices, as in inv({self.of})[i, j]")
        return _made("inv", self.of, self.bound, at)


def inv(of: Any, *bound: Any) -> Inverted:
    """The inverse of a square matrix, to be read at two indices: `inv(A)[i, j]`, or `inv(X[i] * X[j] + ..., i, j)[k, l]`."""
    return Inverted(of, bound)


def det(of: Any, *bound: Any) -> Any:
    """The determinant of a square matrix: `det(A)`, or `det(X[i] * X[j] + ..., i, j)`."""
    return _made("det", of, bound, ())


def logdet(of: Any, *bound: Any) -> Any:
    """log |det A| of a square matrix: `logdet(A)`, or `logdet(X[i] * X[j] + ..., i, j)`."""
    return _made("logdet", of, bound, ())


def _made(name: str, of: Any, bound: tuple[Any, ...], at: tuple[Any, ...]) -> Any:
    made = MatrixFunction(sp.Symbol(name), of, sp.Tuple(*bound), sp.Tuple(*at))
    written = entry_of(made)
    if written is not None:
        WRITTEN.append(written)
    return made


def entry_of(node: Any) -> tuple[int, Any] | None:
    """What `derive.symbols.WRITTEN` records of a function of a whole tensor."""
    if isinstance(node, MatrixFunction) and isinstance(node.args[1], TensorBase):
        return node.args[1].position, (node.args[0], *node.args[3])
    return None
