"""Attention by hand in NumPy: tiles of query rows, a head a thread, differences and row sums inside the products of matrices.

A contestant alone, as by_hand_numpy.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.by_hand_numpy import BLAS, LARGE, THREADS, Space, _pool
from benchmarks.rows import Row

TILE = 256
LOG2_E = math.log2(math.e)


def tiled(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    """Only O and the rows' log-sum-exp are kept; P is made anew. Q carries the scale and log2 e, so that exp2 is all there is to take."""
    q, k, v, do = (values[name] for name in ("Q", "K", "V", "upstream"))
    causal = row.layer == "attention_causal"
    length, width = q.shape[-2:]
    heads = [(b, h) for b in range(q.shape[0]) for h in range(q.shape[1])]
    scale = 1 / math.sqrt(width)
    spaces = [Space() for _ in range(THREADS)]
    hidden = np.triu(np.full((TILE, TILE), -np.inf, np.float32), 1)

    def head(place: tuple[int, int], o: Any, dq: Any, dk: Any, dv: Any, space: Space) -> None:
        # A column more: 1 beside K and V, minus the log-sum-exp beside Q and minus D beside dO, so that the products subtract them.
        qs, ks, vs, dos = (space(name, length, width + 1) for name in ("q", "k", "v", "do"))
        np.multiply(q[place], scale * LOG2_E, out=qs[:, :width])
        ks[:, :width], vs[:, :width], dos[:, :width] = k[place], v[place], do[place]
        ks[:, width] = vs[:, width] = 1
        for tile, seen, p in tiles(space, "p"):
            np.matmul(qs[tile, :width], ks[:seen, :width].T, out=p)
            mask(p)
            largest = p.max(axis=1)
            p -= largest[:, None]
            np.exp2(p, out=p)
            mixed = space(("o", len(p)), len(p), width + 1)
            np.matmul(p, vs[:seen], out=mixed)
            np.divide(mixed[:, :width], mixed[:, width:], out=o[place][tile])
            np.negative(largest + np.log2(mixed[:, width]), out=qs[tile, width])
        np.negative(np.vecdot(do[place], o[place]), out=dos[:, width])
        dk_head, dv_head = dk[place], dv[place]
        dk_head[:] = dv_head[:] = 0
        for tile, seen, p in tiles(space, "p"):
            np.matmul(qs[tile], ks[:seen].T, out=p)
            mask(p)
            np.exp2(p, out=p)
            part = space(("part", seen), seen, width)
            np.matmul(p.T, do[place][tile], out=part)
            dv_head[:seen] += part
            ds = space(("ds", p.shape), *p.shape)
            np.matmul(dos[tile], vs[:seen].T, out=ds)
            ds *= p
            np.matmul(ds, k[place][:seen], out=dq[place][tile])
            np.matmul(ds.T, qs[tile, :width], out=part)
            dk_head[:seen] += part
        dq[place] *= scale
        dk_head *= 1 / LOG2_E

    def tiles(space: Space, name: str) -> Any:
        for start in range(0, length, TILE):
            stop = min(start + TILE, length)
            seen = stop if causal else length
            yield slice(start, stop), seen, space((name, stop - start, seen), stop - start, seen)

    def mask(p: Any) -> None:
        if causal:
            p[:, p.shape[1] - len(p) :] += hidden[: len(p), : len(p)]

    def run() -> Any:
        made = [np.empty_like(array) for array in (v, q, k, v)]
        if q.nbytes * length // width < LARGE:
            for place in heads:
                head(place, *made, spaces[0])
        else:
            with BLAS.limit(limits=1, user_api="blas"):
                done = [_pool.submit(lambda n: [head(place, *made, spaces[n]) for place in heads[n::THREADS]], n) for n in range(THREADS)]
                for future in done:
                    future.result()
        return made[0], tuple(made[1:])

    return run
