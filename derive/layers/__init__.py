"""The catalogue: every layer, by topic, in the order in which the command lists them."""

from __future__ import annotations

from derive.layers import (
    activations,
    classification_losses,
    contrastive_losses,
    cross_entropy,
    margin_losses,
    norms,
    regression_losses,
    regularisers,
    softmax,
    squared_error,
)
from derive.layers import linear as affine
from derive.layers.attention import ATTENTION
from derive.spec import Layer

TOPICS: tuple[tuple[str, tuple[Layer, ...]], ...] = (
    ("Linear maps", (affine.LINEAR, affine.LINEAR_OUT_IN)),
    (
        "Activations",
        (
            activations.RELU,
            activations.LEAKY_RELU,
            activations.PRELU,
            activations.ELU,
            activations.SIGMOID,
            activations.TANH,
            activations.SOFTPLUS,
            activations.GELU,
            activations.GELU_TANH,
            activations.SILU,
            activations.HARD_SIGMOID,
            activations.HALF_SQUARE,
        ),
    ),
    ("Softmax and attention", (softmax.SOFTMAX, softmax.SOFTMAX_COLUMNS, ATTENTION)),
    (
        "Norms",
        (
            norms.LAYER_NORM,
            norms.RMS_NORM,
            norms.BATCH_NORM,
            norms.BATCH_NORM_EVAL,
            norms.GROUP_NORM,
            norms.STANDARDIZE,
            norms.ROW_NORM,
            norms.COSINE_SIMILARITY,
        ),
    ),
    ("Regularisation", (regularisers.DROPOUT, regularisers.RESIDUAL, regularisers.L1_PENALTY, regularisers.L2_PENALTY)),
    (
        "Losses of regression",
        (
            squared_error.MSE,
            squared_error.MSE_SUM,
            squared_error.MSE_NONE,
            regression_losses.LINEAR_REGRESSION,
            regression_losses.L1_LOSS,
            regression_losses.HUBER,
            regression_losses.SMOOTH_L1,
        ),
    ),
    (
        "Losses of classification",
        (
            cross_entropy.CROSS_ENTROPY,
            cross_entropy.CROSS_ENTROPY_SUM,
            cross_entropy.CROSS_ENTROPY_NONE,
            cross_entropy.CROSS_ENTROPY_LABELS,
            cross_entropy.CROSS_ENTROPY_WEIGHTED,
            cross_entropy.CROSS_ENTROPY_SMOOTH,
            cross_entropy.CROSS_ENTROPY_LABELS_SMOOTH,
            classification_losses.LINEAR_CROSS_ENTROPY,
            classification_losses.NLL,
            classification_losses.KL_DIVERGENCE,
            classification_losses.LOGISTIC,
            classification_losses.LOGISTIC_REGRESSION,
            classification_losses.BCE_WITH_LOGITS,
            classification_losses.FOCAL,
            classification_losses.Z_LOSS,
        ),
    ),
    (
        "Losses with a margin",
        (
            margin_losses.PERCEPTRON,
            margin_losses.HINGE,
            margin_losses.MULTI_CLASS_HINGE,
            margin_losses.MARGIN_RANKING,
            margin_losses.TRIPLET,
            margin_losses.COSINE_EMBEDDING,
        ),
    ),
    ("Losses on pairs", (contrastive_losses.INFO_NCE, contrastive_losses.CLIP, contrastive_losses.DPO)),
)

LAYERS: tuple[Layer, ...] = tuple(layer for _, layers in TOPICS for layer in layers)
