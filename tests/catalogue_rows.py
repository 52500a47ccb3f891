"""The rows of the catalogue, each with the layers that stand for it."""

from __future__ import annotations

ROWS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("The five of the mission", "linear", ("linear", "linear_out_in")),
    ("The five of the mission", "softmax, any axis", ("softmax", "softmax_columns")),
    ("The five of the mission", "attention", ("attention",)),
    ("The five of the mission", "MSE with its reductions", ("mse", "mse_sum", "mse_none")),
    ("The five of the mission", "cross-entropy", ("cross_entropy", "cross_entropy_labels")),
)
