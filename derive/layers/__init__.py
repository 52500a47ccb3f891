"""The catalogue: every layer, by topic, in the order in which the command lists them.

Reading a spec through SymPy takes a while, so the table of contents is names alone, and a layer is read when it is asked for.
A layer is found in its file under its own name in capitals.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from derive.spec import Layer

CONTENTS = (
    ("Linear maps", "linear", "linear linear_out_in linear_weight"),
    ("Activations", "activations", "relu leaky_relu prelu elu sigmoid tanh softplus softplus_scaled"),
    ("Activations", "activations", "gelu gelu_tanh silu hard_sigmoid half_square"),
    ("Activations", "activations", "elu_scaled hardtanh hard_swish mish softsign tanhshrink soft_shrink hard_shrink threshold glu"),
    ("Softmax and attention", "softmax", "softmax softmax_columns softmax_plus_one log_softmax"),
    ("Softmax and attention", "attention", "attention"),
    ("Attention with other scores", "attention_scores", "attention_bilinear attention_additive attention_tied attention_columns"),
    ("Attention with other scores", "attention_scores", "pairwise_convolution pairwise_convolution_split"),
    ("Attention with several heads", "multi_head", "multi_head cross_attention grouped_query multi_query"),
    ("Attention, masked and varied", "attention_masks", "attention_causal attention_window attention_sliding_window attention_graph"),
    ("Attention, masked and varied", "attention_variants", "attention_bias alibi attention_relative attention_relative_bias"),
    ("Attention, masked and varied", "attention_variants", "attention_relative_shift"),
    ("Attention, masked and varied", "attention_variants", "attention_soft_cap attention_sink linear_attention"),
    ("Attention with the options of a library", "attention_options", "attention_scaled attention_causal_scaled attention_masked"),
    ("Attention with the options of a library", "attention_options", "attention_masked_bias attention_dropped attention_with_weights"),
    ("Norms", "norms", "layer_norm rms_norm batch_norm batch_norm_eval group_norm"),
    ("Norms", "norms", "standardize row_norm rows_normalized cosine_similarity"),
    ("Regularisation", "regularisers", "dropout residual l1_penalty l2_penalty"),
    ("Embeddings and positions", "lookup", "embedding embedding_bag embedding_bag_weighted embedding_padded picked"),
    ("Embeddings and positions", "position", "token_and_position sinusoidal_position rotary"),
    ("Convolution and pooling", "convolution", "convolution_1d convolution_2d depthwise_convolution"),
    ("Convolution and pooling", "convolution", "convolution_grouped convolution_same convolution_as_attention"),
    ("Convolution and pooling", "pooling", "average_pool_1d average_pool_2d average_pool_shares max_pool_1d max_pool_2d"),
    ("Shapes and places", "reshaping", "flatten reshape concatenation one_hot_concatenated"),
    ("Products and features", "factored", "lora kronecker bilinear factorisation_machine factorisation_machine_pairs"),
    ("Products and features", "features", "rbf polynomial_kernel quadratic_features fourier_features"),
    ("Functions of a matrix", "matrix_functions", "trace_of_product quadratic_form matrix_inverse matrix_determinant"),
    ("Functions of a matrix", "matrix_functions", "log_determinant symmetric_log_determinant mahalanobis gaussian_nll"),
    ("Networks", "mlp", "two_layer three_layer mlp_gelu mlp_swiglu"),
    ("Networks", "gates", "mixture_of_experts top_k_gate highway"),
    ("Networks", "recurrent", "rnn_cell rnn_sequence gru_cell lstm_cell"),
    ("Networks", "scan", "decay_scan decay rnn gru lstm gated_linear_attention"),
    ("Networks", "block", "transformer_block transformer_block_heads"),
    ("Losses of regression", "squared_error", "mse mse_sum mse_none"),
    ("Losses of regression", "regression_losses", "linear_regression l1_loss huber smooth_l1"),
    ("Losses of classification", "cross_entropy", "cross_entropy cross_entropy_sum cross_entropy_none cross_entropy_labels"),
    ("Losses of classification", "cross_entropy", "cross_entropy_weighted cross_entropy_ignore"),
    ("Losses of classification", "cross_entropy", "cross_entropy_smooth cross_entropy_labels_smooth"),
    ("Losses of classification", "classification_losses", "linear_cross_entropy nll kl_divergence logistic"),
    ("Losses of classification", "classification_losses", "logistic_regression bce_with_logits focal z_loss"),
    ("Losses with a margin", "margin_losses", "perceptron hinge multi_class_hinge margin_ranking triplet cosine_embedding"),
    ("Losses before their reduction", "entrywise_losses", "squared_difference absolute_difference huber_entries smooth_l1_entries"),
    ("Losses before their reduction", "entrywise_losses", "bce_with_logits_entries soft_margin_entries kl_entries kl_log_entries"),
    ("Losses before their reduction", "entrywise_losses", "margin_ranking_entries margin_of_distances smaller_entries row_distance"),
    (
        "Losses before their reduction",
        "entrywise_losses",
        "row_distance_p cosine_embedding_entries bce_entries hinge_embedding_entries multi_margin_entries",
    ),
    ("Losses before their reduction", "cross_entropy", "cross_entropy_labels_kept cross_entropy_labels_entries cross_entropy_entries"),
    ("Losses before their reduction", "cross_entropy", "nll_entries"),
    ("Reductions", "reductions", "sum_of_entries mean_of_entries mean_per_weight weighted_entries"),
    ("Losses on pairs", "contrastive_losses", "info_nce clip dpo"),
    ("Parameter updates", "optimisers", "sgd sgd_torch momentum momentum_torch nesterov nesterov_torch"),
    ("Parameter updates", "optimisers", "adam adam_torch adamw adamw_torch"),
)
"""A topic, a file that holds layers of it, and their names; a topic may take several lines."""

LAYERS: tuple[Layer, ...]
TOPICS: tuple[tuple[str, tuple[Layer, ...]], ...]


def names() -> tuple[str, ...]:
    """The names of all layers, in the order of the catalogue; no spec is read."""
    return tuple(name for _, _, name in _entries())


def layer(name: str) -> Layer:
    """The layer of that name. Raises KeyError where the catalogue has none."""
    for _, file, entry in _entries():
        if entry == name:
            return _read(file, entry)
    raise KeyError(name)


def _entries() -> Iterator[tuple[str, str, str]]:
    return ((topic, file, name) for topic, file, entries in CONTENTS for name in entries.split())


def _read(file: str, name: str) -> Layer:
    found = getattr(importlib.import_module(f"{__name__}.{file}"), name.upper())
    assert isinstance(found, Layer) and found.name == name, f"{file}.py: {name.upper()} is not the layer {name}"
    return found


def __getattr__(name: str) -> Any:
    """`LAYERS` and `TOPICS`, read whole on first use."""
    if name == "LAYERS":
        value: Any = tuple(_read(file, entry) for _, file, entry in _entries())
    elif name == "TOPICS":
        topics: dict[str, tuple[Layer, ...]] = {}
        for topic, file, entry in _entries():
            topics[topic] = (*topics.get(topic, ()), _read(file, entry))
        value = tuple(topics.items())
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
