"""What generated NumPy modules share; each module gets a copy of the functions it calls, and imports none of ours."""

from __future__ import annotations

import contextvars
import functools
import itertools
import math
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    # A negative number without its sign is beyond every length: one look at them all.
    if labels.dtype == np.intp and labels.size and labels.view(np.uintp).max() < length:
        return labels
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


def _integer(name: str, value: Any, least: int) -> int:
    """A plain integer, such as a stride."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{_NAME}: {name} is {value!r}, expected an integer") from None
    if number < least:
        raise ValueError(f"{_NAME}: {name} is {number}, expected at least {least}")
    return number


def _length(axis: str, value: int, empty: bool, **given: int) -> int:
    """The length of an axis that the arguments do not have; ValueError if nothing is left of it, unless an argument is `empty`."""
    if value < 0 or (value == 0 and not empty):
        numbers = ", ".join(f"{name} = {number}" for name, number in given.items())
        raise ValueError(f"{_NAME}: axis {axis} would have length {value}, with {numbers}: no output is left")
    return value


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


def _respected(about: str, fact: str, indices: tuple[str, ...], relation: str, gap: Any) -> None:
    """ValueError where a declared fact does not hold: where its sides are apart, or the greater one is less, by `gap`."""
    found = np.asarray(gap)
    slack = float(np.sqrt(np.finfo(found.dtype).eps)) if relation == "=" else 0.0
    bad = ~(abs(found) <= slack) if relation == "=" else ~(found > 0) if relation == "<" else ~(found >= 0)
    if not bool(bad.any()):
        return
    far = np.where(bad, np.where(np.isnan(found), np.inf, abs(found)), -1.0)
    worst = tuple(int(n) for n in np.unravel_index(int(np.argmax(far)), far.shape))
    at = ", ".join(f"{name} = {int(place)}" for name, place in zip(indices, worst))
    amount = f"{float(found[worst]):.6g}" if relation != "=" else f"{float(abs(found[worst])):.6g}"
    what = "its sides differ by" if relation == "=" else "the greater side minus the other is"
    count = int(bad.sum())
    where = (f" at {at}" if at else "") + (f", the worst of {count} places" if count > 1 else "")
    raise ValueError(f"{_NAME}: {about} does not respect the declared fact {fact}: {what} {amount}{where}")


def _whole(entries: int, like: Array) -> bool:
    """Whether an array of that many entries stays in the cache, so that nothing is gained by computing it in parts."""
    return entries * like.itemsize <= _CACHE


def _saved_whole(entries: int, *given: Array) -> bool:
    """Whether an array of that many entries may be kept for the backward pass: it is small, or not much more than what is given."""
    return entries * given[0].itemsize <= 8 * _CACHE or entries <= 4 * sum(array.size for array in given)


def _parts(lengths: tuple[int, ...], width: int, like: Array, least: int) -> Iterator[Any]:
    """Slices of some axes, the last of them the fastest: rows of `width` entries fill the cache, and are `least` if there are as many
    and they fill the cache no more than twice, or a quarter as many."""
    row = max(width * like.itemsize, 1)
    rows = max(_CACHE // row, min(least, 2 * _CACHE // row), least // 4, 1)
    cuts: list[list[slice]] = []
    for length in reversed(lengths):
        step = min(length, rows)
        rows = max(rows // max(length, 1), 1)
        cuts.insert(0, [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))])
    return itertools.product(*cuts)


def _together(run: Callable[[Any], Any], parts: Iterable[Any], apart: int) -> list[Array]:
    """What `run` returns for all of the parts, added up in their order.

    Parts that differ in the first `apart` of their slices are shared out among as many threads as BLAS has, at least four to each;
    BLAS has a single one meanwhile: arithmetic on arrays runs on one thread otherwise. Without threadpoolctl, which tells BLAS so,
    there is one thread.
    """
    every = list(parts)
    groups = [list(group) for _, group in itertools.groupby(every, lambda part: [cut.start for cut in part[:apart]])]
    blas = _blas()
    threads = min(library["num_threads"] for library in blas.info()) if blas is not None else 1
    count = min(len(groups), threads, len(every) // 4)
    if count < 2:
        return list(run(every))
    ends = [len(groups) * n // count for n in range(count + 1)]
    shares = [[part for group in groups[start:end] for part in group] for start, end in zip(ends, ends[1:])]
    with blas.limit(limits=1):
        pool = _pool(os.getpid(), count - 1)
        others = [pool.submit(contextvars.copy_context().run, run, share) for share in shares[1:]]
        sums = [run(shares[0]), *(other.result() for other in others)]
    return [functools.reduce(operator.add, each) for each in zip(*sums)]


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads beside that of the caller; a process that was forked has its own."""
    return ThreadPoolExecutor(threads)


@functools.cache
def _blas() -> Any:
    """What tells BLAS how many threads it has; None where threadpoolctl is not installed, or knows no BLAS."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas")
    return found if len(found) else None


def _span(seen: Array, axis: int = -1) -> slice:
    """The stretch of an axis that holds every entry seen; never empty, because there is no maximum of nothing."""
    places = np.flatnonzero(seen.any(axis=tuple(n for n in range(seen.ndim) if n != axis % seen.ndim)))
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


def _fill(array: Array, kept: Array, value: float, unseen: Any = None) -> None:
    """Write a number wherever the condition does not keep an entry: among the places that are `unseen`, if those are known."""
    axis = _longer(kept)
    if axis is None or kept.shape[axis] != array.shape[axis]:
        np.copyto(array, value, where=~kept)
        return
    some = _unseen(kept) if unseen is None else unseen
    np.copyto(array[some], value, where=~kept[some])


def _longer(kept: Array) -> int | None:
    """The longer of the last two axes, if there are two."""
    return None if kept.ndim < 2 else -1 if kept.shape[-1] >= kept.shape[-2] else -2


def _unseen(kept: Array) -> Any:
    """The stretch of the longer axis in which a condition does not keep every entry; a mask keeps most of what a part holds of a
    longer axis whole."""
    axis = _longer(kept) or -1
    places = np.flatnonzero(~kept.all(axis=tuple(n for n in range(kept.ndim) if n != kept.ndim + axis)))
    stretch = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
    return (..., stretch, *[slice(None)] * (-1 - axis))


def _add_product(total: Array | None, a: Array, b: Array) -> Array:
    """Add the product of two matrices, or of each of a batch, to what is there, if anything: some columns at a time, which stay in
    the cache."""
    if total is None:
        return a @ b
    columns = max(4 * _CACHE // max(math.prod(total.shape[:-1]), 1), 64)
    for start in range(0, total.shape[-1], columns):
        some = (..., slice(start, start + columns))
        total[some] += a @ b[some]
    return total


def _spaces(work: dict[int, Array] | None, like: Array, *shapes: tuple[int, ...]) -> list[Any]:
    """An array of each shape, in memory that the parts of a loop share; None, so that a new one is made, where there is no loop."""
    if work is None:
        return [None] * len(shapes)
    for n, shape in enumerate(shapes):
        if n not in work or work[n].size < math.prod(shape):
            work.pop(n, None)
            work[n] = np.empty(math.prod(shape), like.dtype)
    return [work[n][: math.prod(shape)].reshape(shape) for n, shape in enumerate(shapes)]


def _sum(array: Array, axis: int) -> Array:
    """The sum along one axis: where it pays, as a product with ones, which BLAS computes several times as fast."""
    if array.size < 4096 or array.itemsize not in (4, 8) or array.ndim == 1:
        return np.asarray(np.add.reduce(array, axis))
    ones = np.ones(array.shape[axis], array.dtype)
    total: Array
    if axis == -1:
        total = array @ ones
    elif axis == 0:
        total = (ones @ array.reshape(len(array), -1)).reshape(array.shape[1:])
    elif axis == array.ndim - 2:
        total = ones @ array
    else:
        total = np.asarray(np.add.reduce(array, axis))
    return total


def _one_hot(labels: Array, length: int, dtype: Any) -> Array:
    """1 at each label along a new last axis, else 0."""
    hot: Array = (labels[..., None] == np.arange(length)).astype(dtype)
    return hot


def _scatter(labels: Array, values: Array, length: int, batch: int) -> Array:
    """The values added up at their labels along a new axis of this length, which takes the place of the axes that the labels have
    behind the first `batch`."""
    lead, rest = labels.shape[:batch], values.shape[labels.ndim :]
    count = math.prod(lead)
    rows = (labels.reshape(count, math.prod(labels.shape[batch:])) + length * np.arange(count)[:, None]).reshape(-1)
    made = np.zeros((count * length, *rest), values.dtype)
    if rows.size:
        # Those of one label side by side, each run of them added up at once.
        order = np.argsort(rows, kind="stable")
        found, starts = np.unique(rows[order], return_index=True)
        spread = np.broadcast_to(values, (*labels.shape, *rest)).reshape(rows.size, *rest)
        made[found] = np.add.reduceat(spread[order], starts, axis=0)
    return made.reshape(*lead, length, *rest)


def _read(array: Array, places: dict[int, tuple[Any, ...]]) -> Array:
    """A view in which axes give way to others: along each of `places`, (offset, (step, length), ...), the entry at the offset and
    the steps times their indices is read, and 0 outside of the array."""
    shape: list[int] = []
    strides: list[int] = []
    padding = [(0, 0)] * array.ndim
    first = [0] * array.ndim
    for axis, (offset, *steps) in places.items():
        lowest = offset + sum(min(0, step * (length - 1)) for step, length in steps)
        highest = offset + sum(max(0, step * (length - 1)) for step, length in steps)
        padding[axis] = (max(0, -lowest), max(0, highest + 1 - array.shape[axis]))
        first[axis] = offset + padding[axis][0]
        if any(length == 0 for _, length in steps):
            padding[axis], first[axis] = (0, 0), 0
    padded = np.pad(array, padding) if any(map(sum, padding)) else array
    for axis in range(array.ndim):
        shape += [length for _, length in places[axis][1:]] if axis in places else [array.shape[axis]]
        strides += [step * padded.strides[axis] for step, _ in places[axis][1:]] if axis in places else [padded.strides[axis]]
    if 0 in shape:
        return np.zeros(shape, array.dtype)
    origin = padded[tuple(slice(start, None) for start in first)]
    return np.lib.stride_tricks.as_strided(origin, shape, strides, writeable=False)


def _place(array: Array, axis: int, length: int, offset: int, *steps: int) -> Array:
    """The transpose of reading: the axes from `axis` on, one for each step, become one of this length, on which each entry is
    added at the offset and the steps times its indices, and left out outside."""
    counts = array.shape[axis : axis + len(steps)]
    lead, rest = array.shape[:axis], array.shape[axis + len(steps) :]
    if 0 in counts:
        return np.zeros((*lead, length, *rest), array.dtype)
    lowest = min(0, offset + sum(min(0, step * (count - 1)) for step, count in zip(steps, counts)))
    highest = max(length - 1, offset + sum(max(0, step * (count - 1)) for step, count in zip(steps, counts)))
    result = np.zeros((*lead, highest - lowest + 1, *rest), array.dtype)
    # One slice for each combination of all indices but the longest.
    longest = max(range(len(steps)), key=counts.__getitem__, default=None)
    for where in itertools.product(*(range(1 if n == longest else count) for n, count in enumerate(counts))):
        start = offset - lowest + sum(step * n for step, n in zip(steps, where))
        if longest is None:
            result[(slice(None),) * axis + (start,)] += array
            continue
        part = array[(slice(None),) * axis + tuple(slice(None) if n == longest else at for n, at in enumerate(where))]
        step, count = steps[longest], counts[longest]
        if step == 0:
            result[(slice(None),) * axis + (start,)] += part.sum(axis=axis)
        elif step > 0:
            result[(slice(None),) * axis + (slice(start, start + step * (count - 1) + 1, step),)] += part
        else:
            last = start + step * (count - 1)
            result[(slice(None),) * axis + (slice(last, start + 1, -step),)] += np.flip(part, axis)
    return result[(slice(None),) * axis + (slice(-lowest, length - lowest),)]


def _scan(step: Any, steps: int, ends: tuple[Array, ...], past: tuple[tuple[int, int], ...], backwards: bool = False) -> list[Array]:
    """The values of a recurrence: `step(t, *earlier)` makes one entry of each array.

    `past` says which earlier entries it is given, (array, how far off); beyond either end they are `ends`, one for each array.
    """
    found = [np.empty((steps, *end.shape), end.dtype) for end in ends]
    for t in range(steps - 1, -1, -1) if backwards else range(steps):
        made = step(t, *(found[n][t + offset] if 0 <= t + offset < steps else ends[n] for n, offset in past))
        for array, value in zip(found, made):
            array[t] = value
    return found


def _take(array: Array, places: Array, axis: int) -> Array:
    """numpy.take_along_axis, which takes longer to prepare to read from a small matrix than to read."""
    if array.ndim == 2 and axis == -1:
        return array[np.arange(len(array))[:, None], places]
    return np.take_along_axis(array, places, axis)


def _add_at(array: Array, labels: Array, value: int) -> None:
    """Add `value` at each label along the last axis, in place."""
    if labels.ndim == 1 and array.size and array.flags.c_contiguous:
        places = np.arange(0, array.size, array.shape[1])
        places += labels
        array.reshape(-1)[places] += value
        return
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
    """The error function, of which NumPy has none: within 2 units in the last place, in single precision within 6."""
    given = np.asarray(x)
    single = given.dtype.kind == "f" and given.itemsize <= 4
    # Beyond these, the function is 1 to every digit; the copy is dense, so that it is a row of entries in some order.
    y = np.minimum(given, 3.91 if single else 6.0, dtype=np.float32 if single else np.float64)
    y = np.asarray(y)
    np.maximum(y, -3.91 if single else -6.0, out=y)
    flat = y.ravel(order="K")
    step = 1 << 15  # entries, which stay in the cache from one operation to the next
    for start in range(0, flat.size, step):
        part = flat[start : start + step]
        _erf_single(part) if single else _erf_double(part)
    return y.astype(given.dtype, copy=False) if given.dtype.kind == "f" else y


def _polynomial(x: Array, *coefficients: float) -> Array:
    """A polynomial, its highest coefficient first."""
    made = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        made += coefficient
        made *= x
    made += coefficients[-1]
    return made


def _erf_single(x: Array) -> None:
    """The error function in single precision up to 3.91, in place: x P(x^2) / Q(x^2), fitted to a relative error of 2e-8."""
    square = x * x
    x *= _polynomial(square, 2.0582356e-6, 2.8495071e-4, 3.7514283e-3, 5.2706618e-2, 1.9002497e-1, 1.1283791)
    x /= _polynomial(square, 3.8179303e-5, 1.1598056e-3, 1.4940629e-2, 1.1395899e-1, 5.01738e-1, 1.0)
    np.minimum(x, 1, out=x)
    np.maximum(x, -1, out=x)


def _erf_double(x: Array) -> None:
    """The error function in double precision up to 6, in place.

    Near 0 it is x + x P(x^2) / Q(x^2), as in fdlibm (s_erf.c, Sun Microsystems, 1993), and else 1 - exp(-x^2) P(x) / Q(x), as in
    W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of Computation 23 (1969), 631-637: his second
    interval, (0.46875, 4), serves up to 6, because less and less of what is taken from 1 is seen.
    """
    size = np.abs(x)
    far = np.flatnonzero(size > 0.84375)
    if far.size:
        t, sign = size[far], x[far]
        beyond = np.exp(-t * t)
        beyond *= _polynomial(
            t,
            2.15311535474403846e-8,
            5.64188496988670089e-1,
            8.88314979438837594,
            6.61191906371416295e1,
            2.98635138197400131e2,
            8.81952221241769090e2,
            1.71204761263407058e3,
            2.05107837782607147e3,
            1.23033935479799725e3,
        )
        beyond /= _polynomial(
            t,
            1.0,
            1.57449261107098347e1,
            1.17693950891312499e2,
            5.37181101862009858e2,
            1.62138957456669019e3,
            3.29079923573345963e3,
            4.36261909014324716e3,
            3.43936767414372164e3,
            1.23033935480374942e3,
        )
        np.subtract(1, beyond, out=beyond)
        np.copysign(beyond, sign, out=beyond)
    square = np.multiply(size, size, out=size)
    ratio = _polynomial(
        square,
        -2.37630166566501626084e-5,
        -5.77027029648944159157e-3,
        -2.84817495755985104766e-2,
        -3.25042107247001499370e-1,
        1.28379167095512558561e-1,
    )
    ratio /= _polynomial(
        square,
        -3.96022827877536812320e-6,
        1.32494738004321644526e-4,
        5.08130628187576562776e-3,
        6.50222499887672944485e-2,
        3.97917223959155352819e-1,
        1.0,
    )
    ratio *= x
    x += ratio
    if far.size:
        x[far] = beyond


def _lapack(matrix: Array) -> Array:
    """The matrix in a type that LAPACK knows: it has no half precision."""
    return matrix.astype(np.promote_types(matrix.dtype, np.float32), copy=False)


def _inverse(matrix: Array) -> Array:
    """The inverse over the last two axes. Raises numpy.linalg.LinAlgError where a matrix is singular."""
    try:
        return np.linalg.inv(_lapack(matrix)).astype(matrix.dtype, copy=False)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{_NAME}: a matrix to be inverted is singular") from None


def _determinant(matrix: Array) -> Array:
    """The determinant over the last two axes."""
    return np.asarray(np.linalg.det(_lapack(matrix)), matrix.dtype)


def _log_determinant(matrix: Array) -> Array:
    """log |det| over the last two axes; minus infinity where a matrix is singular."""
    return np.asarray(np.linalg.slogdet(_lapack(matrix))[1], matrix.dtype)


def _xlogy(x: Array, y: Array) -> Array:
    """x log(y), and 0 where x is 0, whatever y is."""
    result: Array = x * np.log(np.where(x == 0, 1, y))
    return result
