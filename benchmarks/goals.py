"""What the generated kernels are to reach: times as fast as torch's eager operators (its fused ones for attention), and their memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """Ratios to eager: time of NumPy and of torch, above 1 is faster; peak memory, below 1 is less. None where there is no goal."""

    numpy: float | None
    torch: float | None
    memory: float | None = None


SMALL = Goal(numpy=1.1, torch=0.9)

LARGE = {
    "linear": Goal(numpy=1.15, torch=0.9),
    "mlp_gelu": Goal(numpy=1.2, torch=1.9),
    "mlp_swiglu": Goal(numpy=1.15, torch=1.9),
    "linear_cross_entropy": Goal(numpy=2.6, torch=2.5, memory=0.12),
    "attention": Goal(numpy=1.0, torch=1.2, memory=1.2),
    "attention_causal": Goal(numpy=1.0, torch=1.2, memory=1.2),
    "cross_entropy_labels": Goal(numpy=5.0, torch=5.0, memory=0.34),
    "softmax": Goal(numpy=1.6, torch=0.9),
    "layer_norm": Goal(numpy=1.2, torch=0.9),
    "rms_norm": Goal(numpy=8.0, torch=8.0),
    "mse": Goal(numpy=3.5, torch=1.8),
}

REASONS = {
    "linear": "three products of matrices and nothing else: the ratio is that of NumPy's BLAS to torch's",
    "mlp_gelu": "NumPy has no error function, and its kernel evaluates one entry at a time",
    "linear_cross_entropy": "torch makes the gradients in the backward pass, where the logits are computed a second time",
    "attention": "one Python thread: exponentials wait for products of matrices",
    "attention_causal": "one Python thread, and the condition is evaluated for every head anew",
    "rms_norm": "torch makes an array of the products that it sums",
}
"""Why a layer falls short, read off its kernel; no profile has confirmed it yet."""
OVERHEAD = "at this size the checks of the arguments and autograd.Function cost more than the arithmetic"
