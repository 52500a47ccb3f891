"""The whole path on one layer: its proof, the check of every line, its kernel, and the kernel against autograd."""

from __future__ import annotations

import sys
import time

import torch

from codegen.__main__ import main as codegen
from derive.__main__ import main as derive
from generated.torch.attention import attention


def title(text: str) -> None:
    print(f"\n=== {text}\n", flush=True)


def against_autograd() -> float:
    """The largest difference between the generated gradients and autograd's, relative to the largest gradient."""
    torch.manual_seed(0)
    batch, heads, queries, keys, width, values = 2, 3, 7, 5, 4, 6
    shapes = ((batch, heads, queries, width), (batch, heads, keys, width), (batch, heads, keys, values))
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    Q, K, V = inputs
    upstream = torch.randn(batch, heads, queries, values, dtype=torch.float64)
    plain = torch.softmax(Q @ K.mT / width**0.5, dim=-1) @ V
    ours = torch.autograd.grad(attention(Q, K, V), inputs, upstream)
    theirs = torch.autograd.grad(plain, inputs, upstream)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs))


def main() -> int:
    """Run the demonstration; the exit code is 0 when everything agrees."""
    started = time.perf_counter()
    title("derive attention")
    failed = derive(["attention"])
    title("derive check attention")
    failed |= derive(["check", "attention"])
    title("codegen: the kernels, from the last lines of those proofs")
    failed |= codegen([])
    title("generated/torch/attention.py against autograd, float64")
    worst = against_autograd()
    print(f"largest relative difference of dQ, dK and dV: {worst:.1e}")
    print(f"\n{'all agrees' if not failed and worst < 1e-10 else 'something disagrees'}, in {time.perf_counter() - started:.1f} s")
    return int(bool(failed) or not worst < 1e-10)


if __name__ == "__main__":
    sys.exit(main())
