"""The rows' formulas as users write them: once over the operators that every library has, and with torch's fused ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.rows import EPS, Row

Formula = Callable[..., Any]
"""Takes the row's inputs in the order of its shapes."""


def formula(row: Row, n: Any) -> Formula:
    """The row written out with the operators of `n`, which stands for torch, JAX, HIPS autograd or PyTensor."""

    def mean(x: Any) -> Any:
        return n.sum(x, -1) / x.shape[-1]

    def attention(q: Any, k: Any, v: Any) -> Any:
        scores = n.matmul(q, n.transposed(k)) / math.sqrt(row.shapes["Q"][-1])
        if row.layer == "attention_causal":
            scores = n.where(n.causal(row.shapes["Q"][-2]), scores, -math.inf)
        return n.matmul(n.softmax(scores), v)

    def layer_norm(x: Any, g: Any, b: Any, eps: Any) -> Any:
        centred = x - mean(x)[:, None]
        return g * centred / n.sqrt(mean(centred * centred) + eps)[:, None] + b

    def cross_entropy(z: Any, y: Any) -> Any:
        return -n.sum(n.picked(n.log_softmax(z), y), -1) / row.shapes["y"][0]

    every: dict[str, Formula] = {
        "linear": lambda x, w, b: n.matmul(x, w) + b,
        "mlp_gelu": lambda x, w, b, v, c: n.matmul(n.gelu(n.matmul(x, w) + b), v) + c,
        "mlp_swiglu": lambda x, g, u, o: n.matmul(n.silu(n.matmul(x, g)) * n.matmul(x, u), o),
        "linear_cross_entropy": lambda x, w, y: cross_entropy(n.matmul(x, w), y),
        "attention": attention,
        "attention_causal": attention,
        "cross_entropy_labels": cross_entropy,
        "softmax": n.softmax,
        "layer_norm": layer_norm,
        "rms_norm": lambda x, g, eps: g * x / n.sqrt(mean(x * x) + eps)[:, None],
        "mse": lambda y, t: n.mean((y - t) * (y - t)),
    }
    return every[row.layer]


def fused(row: Row) -> Formula:
    """The row with torch's own operators, fused where torch has one."""
    import torch
    from torch.nn import functional as F

    every: dict[str, Formula] = {
        "linear": lambda x, w, b: torch.addmm(b, x, w),
        "mlp_gelu": lambda x, w, b, v, c: torch.addmm(c, F.gelu(torch.addmm(b, x, w)), v),
        "mlp_swiglu": lambda x, g, u, o: (F.silu(x @ g) * (x @ u)) @ o,
        "linear_cross_entropy": lambda x, w, y: F.cross_entropy(x @ w, y),
        "attention": F.scaled_dot_product_attention,
        "attention_causal": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "cross_entropy_labels": F.cross_entropy,
        "softmax": lambda s: F.softmax(s, -1),
        "layer_norm": lambda x, g, b, eps: F.layer_norm(x, x.shape[-1:], g, b, EPS),
        "rms_norm": lambda x, g, eps: F.rms_norm(x, x.shape[-1:], g, EPS),
        "mse": F.mse_loss,
    }
    return every[row.layer]


def torch_operators() -> Any:
    import torch
    from torch.nn import functional as F

    return SimpleNamespace(
        matmul=torch.matmul,
        sum=torch.sum,
        mean=torch.mean,
        sqrt=torch.sqrt,
        where=torch.where,
        gelu=F.gelu,
        silu=F.silu,
        softmax=lambda x: F.softmax(x, -1),
        log_softmax=lambda x: F.log_softmax(x, -1),
        transposed=lambda x: x.mT,
        causal=lambda t: torch.ones(t, t, dtype=torch.bool).tril(),
        picked=lambda z, y: z.gather(-1, y[:, None])[:, 0],
    )


def jax_operators() -> Any:
    import jax
    import jax.numpy as np

    return SimpleNamespace(
        matmul=np.matmul,
        sum=np.sum,
        mean=np.mean,
        sqrt=np.sqrt,
        where=np.where,
        gelu=lambda x: jax.nn.gelu(x, approximate=False),
        silu=jax.nn.silu,
        softmax=jax.nn.softmax,
        log_softmax=jax.nn.log_softmax,
        transposed=lambda x: np.swapaxes(x, -1, -2),
        causal=lambda t: np.tri(t, dtype=bool),
        picked=lambda z, y: np.take_along_axis(z, y[:, None], -1)[:, 0],
    )


def autograd_operators() -> Any:
    """HIPS autograd has no softmax: its users write the exponentials of the differences to the largest."""
    import autograd.numpy as np
    from autograd.scipy.special import erf, logsumexp

    def softmax(x: Any) -> Any:
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        return e / np.sum(e, axis=-1, keepdims=True)

    return SimpleNamespace(
        matmul=np.matmul,
        sum=np.sum,
        mean=np.mean,
        sqrt=np.sqrt,
        where=np.where,
        gelu=lambda x: 0.5 * x * (1 + erf(x * 2**-0.5)),
        silu=lambda x: x / (1 + np.exp(-x)),
        softmax=softmax,
        log_softmax=lambda x: x - logsumexp(x, axis=-1, keepdims=True),
        transposed=lambda x: np.swapaxes(x, -1, -2),
        causal=lambda t: np.tri(t, dtype=bool),
        picked=lambda z, y: z[np.arange(len(y)), y],
    )


def pytensor_operators() -> Any:
    import pytensor.tensor as np

    return SimpleNamespace(
        matmul=np.matmul,
        sum=lambda x, axis: np.sum(x, axis=axis),
        mean=np.mean,
        sqrt=np.sqrt,
        where=np.where,
        gelu=lambda x: 0.5 * x * (1 + np.erf(x * 2**-0.5)),
        silu=lambda x: x * np.sigmoid(x),
        softmax=lambda x: np.special.softmax(x, axis=-1),
        log_softmax=lambda x: np.special.log_softmax(x, axis=-1),
        transposed=lambda x: np.swapaxes(x, -1, -2),
        causal=lambda t: np.tri(t, dtype=bool),
        picked=lambda z, y: z[np.arange(y.shape[0]), y],
    )
