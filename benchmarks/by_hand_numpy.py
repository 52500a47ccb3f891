"""The rows as a person writes them by hand in NumPy: closed forms, blocked, into reused memory.

Contestants alone: nothing else of the project imports this file, and no kernel comes from it. They say what speed the generated
kernels are to be measured by. Each form takes a row and its values and returns what runs it: (output, gradients).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from benchmarks.rows import EPS, Row

Form = Callable[[Row, Mapping[str, Any]], Callable[[], Any]]
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BLOCK = 1 << 19  # bytes of a block of rows
LARGE = 1 << 22  # bytes from which threads pay
BLAS = ThreadpoolController()
"""Made once: to look for the libraries costs more than a small row."""
_pool = ThreadPoolExecutor(THREADS)


class Space:
    """Memory that is asked for by name and handed out again the next time."""

    def __init__(self) -> None:
        self.found: dict[object, Any] = {}

    def __call__(self, name: object, *shape: int) -> Any:
        held = self.found.get(name)
        if held is None or held.shape != shape:
            held = self.found[name] = np.empty(shape, np.float32)
        return held


def _stretches(rows: int, width: int, parts: int) -> list[tuple[int, int]]:
    step = -(-rows // parts)
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def _blocks(start: int, stop: int, width: int) -> Iterator[slice]:
    step = max(1, BLOCK // (4 * width))
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def _by_rows(rows: int, width: int, spaces: list[Space], work: Callable[[slice, Space], Any]) -> list[Any]:
    """What `work` returns for each block of rows, several at once where they are large."""
    if rows * width * 4 < LARGE:
        return [work(slice(0, rows), spaces[0])]

    def stretch(n: int, ends: tuple[int, int]) -> list[Any]:
        return [work(block, spaces[n]) for block in _blocks(*ends, width)]

    with BLAS.limit(limits=1, user_api="blas"):
        done = [_pool.submit(stretch, n, ends) for n, ends in enumerate(_stretches(rows, width, THREADS))]
        return [value for future in done for value in future.result()]


def _spaces() -> list[Space]:
    return [Space() for _ in range(THREADS)]


def linear(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    x, w, b, dy = (values[name] for name in ("X", "W", "b", "upstream"))
    ones = np.ones(len(x), np.float32)

    def run() -> Any:
        y = x @ w
        y += b
        return y, (dy @ w.T, x.T @ dy, ones @ dy)

    return run


def _gelu(z: Any, space: Space, cdf: Any) -> None:
    """Writes the normal distribution function of z to `cdf`; Abramowitz and Stegun, formula 7.1.26, which is right to 1.5e-7."""
    t, e = space("t", *z.shape), space("e", *z.shape)
    np.multiply(z, z, out=e)
    e *= -0.5
    np.exp(e, out=e)
    np.abs(z, out=t)
    t *= 0.3275911 / math.sqrt(2)
    t += 1
    np.reciprocal(t, out=t)
    np.multiply(t, 1.061405429, out=cdf)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        cdf += coefficient
        cdf *= t
    cdf *= e
    np.subtract(1, cdf, out=cdf)
    np.copysign(cdf, z, out=cdf)
    cdf += 1
    cdf *= 0.5


def mlp_gelu(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    x, w, b, v, c, dy = (values[name] for name in ("X", "W_1", "b_1", "W_2", "b_2", "upstream"))
    space, spaces = Space(), _spaces()
    ones = np.ones(len(x), np.float32)
    size, hidden = len(x), w.shape[1]

    def run() -> Any:
        z, cdf, h, dh = (space(name, size, hidden) for name in ("z", "cdf", "h", "dh"))
        np.matmul(x, w, out=z)

        def forward(rows: slice, space: Space) -> None:
            z[rows] += b
            _gelu(z[rows], space, cdf[rows])
            np.multiply(z[rows], cdf[rows], out=h[rows])

        def backward(rows: slice, space: Space) -> None:
            density = space("e", rows.stop - rows.start, hidden)
            np.multiply(z[rows], z[rows], out=density)
            density *= -0.5
            np.exp(density, out=density)
            density *= z[rows]
            density *= 1 / math.sqrt(2 * math.pi)
            density += cdf[rows]
            dh[rows] *= density

        _by_rows(size, hidden, spaces, forward)
        y = h @ v
        y += c
        np.matmul(dy, v.T, out=dh)
        dv = h.T @ dy
        _by_rows(size, hidden, spaces, backward)
        return y, (dh @ w.T, x.T @ dh, ones @ dh, dv, ones @ dy)

    return run


def mlp_swiglu(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    x, w_g, w_u, w_o, dy = (values[name] for name in ("X", "W_g", "W_u", "W_o", "upstream"))
    space, spaces = Space(), _spaces()
    size, hidden = len(x), w_g.shape[1]

    def run() -> Any:
        g, u, s, h, dh = (space(name, size, hidden) for name in ("g", "u", "s", "h", "dh"))
        np.matmul(x, w_g, out=g)
        np.matmul(x, w_u, out=u)

        def forward(rows: slice, _: Space) -> None:
            gate = s[rows]
            np.multiply(g[rows], 0.5, out=gate)
            np.tanh(gate, out=gate)
            gate *= 0.5
            gate += 0.5
            np.multiply(g[rows], gate, out=h[rows])
            h[rows] *= u[rows]

        def backward(rows: slice, space: Space) -> None:
            # dU = dH o G s, dG = dH o U o s (1 + G (1 - s)); dU takes the place of G and dG that of U.
            slope = space("slope", rows.stop - rows.start, hidden)
            np.subtract(1, s[rows], out=slope)
            slope *= g[rows]
            slope += 1
            slope *= u[rows]
            dh[rows] *= s[rows]
            slope *= dh[rows]
            g[rows] *= dh[rows]
            u[rows] = slope

        _by_rows(size, hidden, spaces, forward)
        y = h @ w_o
        np.matmul(dy, w_o.T, out=dh)
        dw_o = h.T @ dy
        _by_rows(size, hidden, spaces, backward)
        dx = u @ w_g.T
        dx += g @ w_u.T
        return y, (dx, x.T @ u, x.T @ g, dw_o)

    return run


def linear_cross_entropy(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    """512 rows of logits at a time; their gradient takes their place, and dW grows in slices of the vocabulary."""
    x, w, y = (values[name] for name in ("X", "W", "y"))
    space = Space()
    size, classes = len(x), w.shape[1]

    def run() -> Any:
        loss = 0.0
        dx, dw = np.empty_like(x), np.zeros_like(w)
        for start in range(0, size, 512):
            rows = slice(start, min(start + 512, size))
            count = rows.stop - rows.start
            z = space(("z", count), count, classes)
            np.matmul(x[rows], w, out=z)
            loss += _logits(z, z, y[rows], size)
            np.matmul(z, w.T, out=dx[rows])
            for first in range(0, classes, 4096):
                part = slice(first, min(first + 4096, classes))
                product = space(("dw", part.stop - part.start), w.shape[0], part.stop - part.start)
                np.matmul(x[rows].T, z[:, part], out=product)
                dw[:, part] += product
        return np.float32(loss / size), (dx, dw)

    return run


def _logits(z: Any, out: Any, labels: Any, size: int) -> float:
    """The sum of the losses of these rows; their gradient goes to `out`, several rows at a time."""
    places = np.arange(len(z))

    def work(rows: slice, _: Space) -> float:
        here, y = out[rows], labels[rows]
        picked = z[places[rows], y]
        largest = z[rows].max(axis=1)
        np.subtract(z[rows], largest[:, None], out=here)
        np.exp(here, out=here)
        total = here.sum(axis=1)
        here *= 1 / (size * total)[:, None]
        here[places[: len(y)], y] -= 1 / size
        return float((np.log(total) + largest - picked).sum())

    return sum(_by_rows(*z.shape, _spaces(), work))


def cross_entropy(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    z, y = values["Z"], values["y"]

    def run() -> Any:
        dz = np.empty_like(z)
        loss = _logits(z, dz, y, len(z))
        return np.float32(loss / len(z)), dz

    return run


def softmax(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    s, dp = values["S"], values["upstream"]
    spaces = _spaces()

    def run() -> Any:
        p, ds = np.empty_like(s), np.empty_like(s)

        def forward(rows: slice, _: Space) -> None:
            here = p[rows]
            np.subtract(s[rows], s[rows].max(axis=1, keepdims=True), out=here)
            np.exp(here, out=here)
            here *= 1 / here.sum(axis=1, keepdims=True)

        def backward(rows: slice, _: Space) -> None:
            np.subtract(dp[rows], np.vecdot(dp[rows], p[rows])[:, None], out=ds[rows])
            ds[rows] *= p[rows]

        _by_rows(*s.shape, spaces, forward)
        _by_rows(*s.shape, spaces, backward)
        return p, ds

    return run


def _norm(centred: bool) -> Form:
    """LayerNorm, or RMSNorm where rows are not centred."""

    def form(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
        x, g, dy = values["X"], values["g"], values["upstream"]
        b = values["b"] if centred else None
        size, width = x.shape
        spaces = _spaces()
        ones = np.ones(max(x.shape), np.float32)

        def run() -> Any:
            y, dx = np.empty_like(x), np.empty_like(x)
            middle, scale = np.empty(size, np.float32), np.empty(size, np.float32)

            def forward(rows: slice, _: Space) -> None:
                here = y[rows]
                if centred:
                    middle[rows] = x[rows] @ ones[:width]
                    middle[rows] /= width
                    np.subtract(x[rows], middle[rows, None], out=here)
                    scale[rows] = (np.vecdot(here, here) / width + EPS) ** -0.5
                    here *= scale[rows, None]
                    here *= g
                    here += b
                else:
                    scale[rows] = (np.vecdot(x[rows], x[rows]) / width + EPS) ** -0.5
                    np.multiply(x[rows], scale[rows, None], out=here)
                    here *= g

            def backward(rows: slice, space: Space) -> Any:
                # With h the normalised row and a = dY o g: dX = s (a - mean(a) - h mean(a o h)); RMSNorm has no mean(a).
                here, product = dx[rows], space(("product", rows.stop - rows.start), rows.stop - rows.start, width)
                few = ones[: rows.stop - rows.start]
                if centred:
                    np.subtract(x[rows], middle[rows, None], out=here)
                    here *= scale[rows, None]
                else:
                    np.multiply(x[rows], scale[rows, None], out=here)
                np.multiply(dy[rows], here, out=product)
                dg = few @ product
                here *= (product @ g / -width)[:, None]
                np.multiply(dy[rows], g, out=product)
                here += product
                if centred:
                    here -= (dy[rows] @ g / width)[:, None]
                here *= scale[rows, None]
                return (dg, few @ dy[rows]) if centred else (dg,)

            _by_rows(size, width, spaces, forward)
            parts = _by_rows(size, width, spaces, backward)
            return y, (dx, *(sum(part[1:], part[0]) for part in zip(*parts)))

        return run

    return form


def mse(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    y, t = values["Y"], values["T"]
    spaces = _spaces()

    def run() -> Any:
        dy = np.empty_like(y)

        def work(rows: slice, _: Space) -> float:
            here = dy[rows]
            np.subtract(y[rows], t[rows], out=here)
            loss = float(np.vecdot(here, here).sum())
            here *= 2 / y.size
            return loss

        return np.float32(sum(_by_rows(*y.shape, spaces, work)) / y.size), dy

    return run


def _attention(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    from benchmarks.by_hand_attention import tiled

    return tiled(row, values)


FORMS: dict[str, Form] = {
    "linear": linear,
    "mlp_gelu": mlp_gelu,
    "mlp_swiglu": mlp_swiglu,
    "linear_cross_entropy": linear_cross_entropy,
    "attention": _attention,
    "attention_causal": _attention,
    "cross_entropy_labels": cross_entropy,
    "softmax": softmax,
    "layer_norm": _norm(True),
    "rms_norm": _norm(False),
    "mse": mse,
}
