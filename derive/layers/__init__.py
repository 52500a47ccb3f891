"""The catalogue: every layer, in the order in which the command lists them."""

from __future__ import annotations

from derive.layers.attention import ATTENTION
from derive.layers.cross_entropy import (
    CROSS_ENTROPY,
    CROSS_ENTROPY_LABELS,
    CROSS_ENTROPY_NONE,
    CROSS_ENTROPY_SMOOTH,
    CROSS_ENTROPY_SUM,
    CROSS_ENTROPY_WEIGHTED,
)
from derive.layers.linear import LINEAR, LINEAR_OUT_IN
from derive.layers.softmax import SOFTMAX, SOFTMAX_COLUMNS
from derive.layers.squared_error import MSE, MSE_NONE, MSE_SUM
from derive.spec import Layer

LAYERS: tuple[Layer, ...] = (
    LINEAR,
    LINEAR_OUT_IN,
    SOFTMAX,
    SOFTMAX_COLUMNS,
    ATTENTION,
    MSE,
    MSE_SUM,
    MSE_NONE,
    CROSS_ENTROPY,
    CROSS_ENTROPY_SUM,
    CROSS_ENTROPY_NONE,
    CROSS_ENTROPY_LABELS,
    CROSS_ENTROPY_WEIGHTED,
    CROSS_ENTROPY_SMOOTH,
)
