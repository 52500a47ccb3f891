"""What generated NumPy modules share; each module gets a copy of the functions it calls, and imports none of ours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_NAME = ""
_AXES: dict[str, tuple[str, ...]] = {}
_CACHE = 1 << 20


def _real(**given: Any) -> tuple[Array, ...]:
    """The arguments as arrays of one floating-point type; a Python float takes the type of the others."""
    arrays = {name: value if type(value) is float else np.asarray(value) for name, value in given.items()}
    for name, array in arrays.items():
        if not isinstance(array, float) and array.dtype.kind != "f":
            hint = "only real numbers have gradients here" if array.dtype.kind == "c" else "pass floating-point numbers"
            raise TypeError(f"{_NAME}: {name} holds {array.dtype}; {hint}")
    dtype = np.result_type(*arrays.values())
    return tuple(np.asarray(array, dtype) for array in arrays.values())


def _labels(name: str, value: Any, axis: str, length: int) -> Array:
    """Integer labels, each the number of a place along an axis."""
    labels = np.asarray(value)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{_NAME}: {name} holds {labels.dtype}, expected integers from 0 up to the length of axis {axis}")
    outside = np.argwhere((labels < 0) | (labels >= length))
    if len(outside):
        where = tuple(int(n) for n in outside[0])
        at = ", ".join(str(n) for n in where)
        raise ValueError(f"{_NAME}: {name}[{at}] is {labels[where]}, but axis {axis} has length {length}")
    return labels.astype(np.intp, copy=False)


def _check(**arrays: Array) -> None:
    """ValueError unless every array has its axes and any two agree on the length of an axis that both have."""
    lengths: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        axes = _AXES[name]
        if array.ndim != len(axes):
            count = f"{len(axes)} {'axis' if len(axes) == 1 else 'axes'} ({', '.join(axes)})" if axes else "a scalar"
            raise ValueError(f"{_NAME}: {name} has shape {array.shape}, expected {count}")
        for axis, length in zip(axes, array.shape):
            other, known = lengths.setdefault(axis, (name, length))
            if known != length:
                shapes = f"{other} is {arrays[other].shape}" + (f" but {name} is {array.shape}" if other != name else "")
                raise ValueError(f"{_NAME}: {shapes}: axis {axis} is {known} in {other} and {length} in {name}")


def _nonempty(**lengths: int) -> None:
    """ValueError for an axis of length 0 over which a maximum is taken."""
    for axis, length in lengths.items():
        if length == 0:
            raise ValueError(f"{_NAME}: axis {axis} has length 0, and there is no maximum over it")


def _upstream(name: str, value: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """An upstream gradient, which has the shape of its output."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(f"{_NAME}: {name} holds {array.dtype}; pass floating-point numbers")
    if array.shape != shape:
        axes = ", ".join(_AXES[name])
        raise ValueError(f"{_NAME}: {name} has shape {array.shape}, expected ({axes}) = {shape}")
    return array.astype(dtype, copy=False)


def _whole(entries: int, like: Array) -> bool:
    """Whether an array of that many entries stays in the cache, so that nothing is gained by computing it in parts."""
    return entries * like.itemsize <= _CACHE


def _saved_whole(entries: int, *given: Array) -> bool:
    """Whether an array of that many entries may be kept for the backward pass: it is small, or not much more than what is given."""
    return entries * given[0].itemsize <= 8 * _CACHE or entries <= 4 * sum(array.size for array in given)


def _parts(lengths: tuple[int, ...], width: int, like: Array, least: int) -> Iterator[Any]:
    """Slices of some axes, the last of them the fastest: rows of `width` entries fill the cache, and are `least` if there are as many."""
    rows = max(_CACHE // max(width * like.itemsize, 1), least)
    cuts: list[list[slice]] = []
    for length in reversed(lengths):
        step = min(length, rows)
        rows = max(rows // max(length, 1), 1)
        cuts.insert(0, [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))])
    return itertools.product(*cuts)


def _one_hot(labels: Array, length: int, dtype: Any) -> Array:
    """1 at each label along a new last axis, else 0."""
    hot: Array = (labels[..., None] == np.arange(length)).astype(dtype)
    return hot


def _add_at(array: Array, labels: Array, value: int) -> None:
    """Add `value` at each label along the last axis, in place."""
    rows: Any = np.unravel_index(np.arange(labels.size), labels.shape) if labels.ndim > 1 else (np.arange(len(labels)),) * labels.ndim
    at: Any = (*rows, labels.ravel())
    array[at if labels.ndim else labels] += value


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which neither overflows nor divides by zero."""
    y = np.asarray(0.5 * x)
    np.tanh(y, out=y)
    y += 1
    y *= 0.5
    return y


def _erf(x: Array) -> Array:
    """The error function, entry by entry: NumPy has none."""
    flat = [math.erf(value) for value in np.ravel(x)]
    return np.array(flat, dtype=np.asarray(x).dtype).reshape(np.shape(x))
