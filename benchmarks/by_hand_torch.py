"""Rows by hand in torch: an autograd.Function around blocks of fused operators, and products of matrices by oneDNN.

Contestants alone, as by_hand_numpy.py; the rows are those for which torch is the better choice by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.contestants import _recorded
from benchmarks.rows import EPS, Row

Form = Callable[[Row, Mapping[str, Any]], Callable[[], Any]]
LARGE = 1 << 28


def product(a: Tensor, b: Tensor) -> Tensor:
    """a @ b; where it is large as a 1 x 1 convolution, which torch hands to oneDNN, on some machines twice as fast as MKL."""
    (m, k), n = a.shape, b.shape[1]
    if 2 * m * k * n < LARGE:
        return a @ b
    return torch.conv2d(a.reshape(1, m, 1, k).permute(0, 3, 1, 2), b.T[:, :, None, None]).permute(0, 2, 3, 1).reshape(m, n)


def _empty(like: Tensor) -> Tensor:
    """Fresh memory as NumPy gets it, in huge pages where it is large."""
    return torch.from_numpy(np.empty(tuple(like.shape), np.float32))


class GeluMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor, v: Tensor, c: Tensor) -> Tensor:
        z = product(x, w).add_(b)
        h = torch.nn.functional.gelu(z)
        ctx.save_for_backward(x, w, v, z, h)
        return product(h, v).add_(c)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, w, v, z, h = ctx.saved_tensors
        dz = torch.ops.aten.gelu_backward(product(dy, v.T), z)
        return product(dz, w.T), product(x.T, dz), dz.sum(0), product(h.T, dy), dy.sum(0)


class SwigluMlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w_g: Tensor, w_u: Tensor, w_o: Tensor) -> Tensor:
        g, u = product(x, w_g), product(x, w_u)
        s = torch.nn.functional.silu(g)
        ctx.save_for_backward(x, w_g, w_u, w_o, g, u, s)
        return product(s * u, w_o)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, w_g, w_u, w_o, g, u, s = ctx.saved_tensors
        dh = product(dy, w_o.T)
        dw_o = product((s * u).T, dy)
        dg = torch.ops.aten.silu_backward(dh * u, g)
        du = dh.mul_(s)
        return product(dg, w_g.T).add_(product(du, w_u.T)), product(x.T, dg), product(x.T, du), dw_o


def _logits(z: Tensor, out: Tensor, y: Tensor, size: int) -> Tensor:
    """The sum of the losses; the gradient of the logits goes to `out`, which may be z."""
    loss = z.new_zeros(())
    step = max(1, (1 << 21) // (4 * z.shape[1]))
    for first in range(0, len(z), step):
        rows = slice(first, first + step)
        here, labels = z[rows], y[rows, None]
        largest, picked = here.amax(1), here.gather(1, labels)[:, 0]
        p = torch.softmax(here, 1, out=out[rows]) if out is not z else here.copy_(torch.softmax(here, 1))
        loss += (largest - p.amax(1).log() - picked).sum()
        p.div_(size)
        p.scatter_add_(1, labels, p.new_full(labels.shape, -1 / size))
    return loss


def _scaled(dl: Tensor, *gradients: Tensor) -> Any:
    """Times the upstream gradient, which is 1 at the end of a network."""
    return gradients if dl == 1 else tuple(gradient * dl for gradient in gradients)


class CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, y: Tensor) -> Tensor:
        dz = _empty(z)
        loss = _logits(z, dz, y, len(z))
        ctx.save_for_backward(dz)
        return loss / len(z)

    @staticmethod
    def backward(ctx: Any, dl: Tensor) -> Any:
        return (*_scaled(dl, *ctx.saved_tensors), None)


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
        loss = x.new_zeros(())
        dx, dw = torch.empty_like(x), torch.zeros_like(w)
        for first in range(0, len(x), 512):
            rows = slice(first, first + 512)
            z = product(x[rows], w)
            loss += _logits(z, z, y[rows], len(x))
            dx[rows] = product(z, w.T)
            for start in range(0, w.shape[1], 4096):
                dw[:, start : start + 4096] += product(x[rows].T, z[:, start : start + 4096])
        ctx.save_for_backward(dx, dw)
        return loss / len(x)

    @staticmethod
    def backward(ctx: Any, dl: Tensor) -> Any:
        return (*_scaled(dl, *ctx.saved_tensors), None)


class RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, g: Tensor, eps: Tensor) -> Tensor:
        scale = (torch.linalg.vecdot(x, x) / x.shape[1]).add_(EPS).rsqrt_()
        y = _empty(x)
        step = max(1, (1 << 20) // (4 * x.shape[1]))
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            torch.mul(x[rows], scale[rows, None], out=y[rows]).mul_(g)
        ctx.save_for_backward(x, g, scale)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, g, scale = ctx.saved_tensors
        dx, dg = _empty(x), torch.zeros_like(g)
        step = max(1, (1 << 20) // (4 * x.shape[1]))
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            some = scale[rows]
            part = dy[rows] * x[rows]
            dg += some @ part
            factor = (part @ g) * some**3 / -x.shape[1]
            torch.mul(dy[rows], g, out=part).mul_(some[:, None])
            torch.addcmul(part, x[rows], factor[:, None], out=dx[rows])
        return dx, dg, None


def softmax(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    """torch's fused kernels into memory that is handed out again: a fresh large array costs more than filling it."""
    s, dp = torch.from_numpy(values["S"]), torch.from_numpy(values["upstream"])
    p, ds = torch.empty_like(s), torch.empty_like(s)

    def run() -> Any:
        torch.softmax(s, -1, out=p)
        torch.ops.aten._softmax_backward_data.out(dp, p, -1, torch.float32, grad_input=ds)
        return p, ds

    return run


def attention(row: Row, values: Mapping[str, Any]) -> Callable[[], Any]:
    """torch's flash kernel for the processor and its backward pass, called without autograd."""
    q, k, v, do = (torch.from_numpy(values[name]) for name in ("Q", "K", "V", "upstream"))
    options = {"is_causal": row.layer == "attention_causal", "scale": 1 / math.sqrt(q.shape[-1])}

    def run() -> Any:
        ops = torch.ops.aten
        o, lse = ops._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, options["is_causal"], scale=options["scale"])
        gradients = ops._scaled_dot_product_flash_attention_for_cpu_backward(
            do, q, k, v, o, lse, 0.0, options["is_causal"], scale=options["scale"]
        )
        return o, gradients

    return run


def _function(function: Any) -> Form:
    return lambda row, values: _recorded(row, values, function.apply)


FORMS: dict[str, Form] = {
    "mlp_gelu": _function(GeluMlp),
    "mlp_swiglu": _function(SwigluMlp),
    "linear_cross_entropy": _function(LinearCrossEntropy),
    "cross_entropy_labels": _function(CrossEntropy),
    "rms_norm": _function(RmsNorm),
    "softmax": softmax,
    "attention": attention,
    "attention_causal": attention,
}
