"""Every row of the catalogue that the project promises, in its own words, and the layers that answer it.

(section, row, layers). A row of section 6 is about what is done with a layer: the layers named there are those it is shown on.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One row: the section of the catalogue, the row's words, and the layers that show it."""

    section: int
    words: str
    layers: tuple[str, ...]


_CROSS_ENTROPY = (
    "cross_entropy",
    "cross_entropy_sum",
    "cross_entropy_none",
    "cross_entropy_labels",
    "cross_entropy_weighted",
    "cross_entropy_ignore",
    "cross_entropy_smooth",
    "cross_entropy_labels_smooth",
)

_ENTRIES = (
    *("squared_difference", "absolute_difference", "huber_entries", "smooth_l1_entries", "bce_with_logits_entries"),
    *("soft_margin_entries", "kl_entries", "kl_log_entries", "margin_ranking_entries", "margin_of_distances", "smaller_entries"),
    *("row_distance", "row_distance_p", "cosine_embedding_entries", "cross_entropy_labels_kept", "cross_entropy_labels_entries"),
    *("cross_entropy_entries", "nll_entries", "bce_entries", "hinge_embedding_entries", "multi_margin_entries"),
)
_ACTIVATIONS = (
    *("elu_scaled", "hardtanh", "hard_swish", "mish", "softsign", "tanhshrink", "soft_shrink", "hard_shrink", "threshold", "glu"),
)
_OPTIONS = (
    *("attention_scaled", "attention_causal_scaled", "attention_masked", "attention_masked_bias", "attention_dropped"),
    "attention_with_weights",
)
_UPDATES = tuple(f"{name}{writing}" for name in ("sgd", "momentum", "nesterov", "adam", "adamw") for writing in ("", "_torch"))
_MATRICES = (
    "trace_of_product",
    "quadratic_form",
    "log_determinant",
    "matrix_determinant",
    "matrix_inverse",
    "mahalanobis",
    "gaussian_nll",
)

ROWS: tuple[Row, ...] = (
    # 1. The five of the mission
    Row(1, "linear", ("linear", "linear_out_in", "linear_weight")),
    Row(1, "softmax, any axis", ("softmax", "softmax_columns", "log_softmax")),
    Row(1, "attention", ("attention",)),
    Row(1, "MSE; reductions mean, sum, none", ("mse", "mse_sum", "mse_none")),
    Row(1, "cross-entropy; integer labels, class weights, ignore_index, label smoothing, reductions", _CROSS_ENTROPY),
    # 2. Elementwise and norms
    Row(2, "ReLU", ("relu",)),
    Row(2, "leaky ReLU", ("leaky_relu",)),
    Row(2, "PReLU (with its alpha gradient)", ("prelu",)),
    Row(2, "ELU", ("elu",)),
    Row(2, "sigmoid", ("sigmoid",)),
    Row(2, "tanh", ("tanh",)),
    Row(2, "softplus", ("softplus", "softplus_scaled")),
    Row(2, "GELU (erf and tanh)", ("gelu", "gelu_tanh")),
    Row(2, "SiLU", ("silu",)),
    Row(2, "hard sigmoid", ("hard_sigmoid",)),
    Row(2, "y^2/2", ("half_square",)),
    Row(2, "the other activations of a library", _ACTIVATIONS),
    Row(2, "dropout (mask saved)", ("dropout",)),
    Row(2, "residual", ("residual",)),
    Row(2, "LayerNorm", ("layer_norm",)),
    Row(2, "RMSNorm", ("rms_norm",)),
    Row(2, "BatchNorm (training and evaluation)", ("batch_norm", "batch_norm_eval")),
    Row(2, "GroupNorm", ("group_norm",)),
    Row(2, "standardising inputs", ("standardize",)),
    Row(2, "L1 and L2 penalties", ("l1_penalty", "l2_penalty")),
    Row(2, "row-norm and cosine similarity", ("row_norm", "rows_normalized", "cosine_similarity")),
    # 3. Losses
    Row(3, "linear regression |XW - Y|^2", ("linear_regression",)),
    Row(3, "logistic / BCE with logits", ("logistic", "logistic_regression", "bce_with_logits")),
    Row(3, "NLL", ("nll",)),
    Row(3, "KL divergence", ("kl_divergence",)),
    Row(3, "Huber and smooth L1", ("huber", "smooth_l1")),
    Row(3, "L1", ("l1_loss",)),
    Row(3, "hinge (binary and multi-class)", ("hinge", "multi_class_hinge")),
    Row(3, "margin ranking", ("margin_ranking",)),
    Row(3, "triplet", ("triplet",)),
    Row(3, "InfoNCE / CLIP (both directions)", ("info_nce", "clip")),
    Row(3, "focal", ("focal",)),
    Row(3, "perceptron", ("perceptron",)),
    Row(3, "cosine embedding", ("cosine_embedding",)),
    Row(3, "z-loss", ("z_loss",)),
    Row(3, "label-smoothed cross-entropy", ("cross_entropy_smooth", "cross_entropy_labels_smooth")),
    Row(3, "fused linear + cross-entropy (tokens blocked)", ("linear_cross_entropy",)),
    Row(3, "DPO", ("dpo",)),
    Row(3, "the losses of a library before their reduction", _ENTRIES),
    Row(3, "reductions of entries: sum, mean, weighted", ("sum_of_entries", "mean_of_entries", "mean_per_weight", "weighted_entries")),
    # 4. Attention, as the lectures tell it
    Row(4, "bilinear score x_i^T A x_j", ("attention_bilinear",)),
    Row(4, "additive (MLP) score", ("attention_additive",)),
    Row(4, "pairwise convolution V1 x_i + V2 x_j, equal to A X V1^T + X V2^T", ("pairwise_convolution", "pairwise_convolution_split")),
    Row(4, "column convention V softmax(K^T Q)", ("attention_columns",)),
    Row(4, "tied Q = K (gradients add)", ("attention_tied",)),
    Row(4, "multi-head with W_q, W_k, W_v, W_o", ("multi_head",)),
    Row(4, "grouped-query", ("grouped_query", "multi_query")),
    Row(4, "cross-attention", ("cross_attention",)),
    Row(4, "causal", ("attention_causal",)),
    Row(4, "truncated with unequal sides (L, R)", ("attention_window",)),
    Row(4, "graph-masked (adjacency, isolated nodes, zero off-edge gradient)", ("attention_graph",)),
    Row(4, "additive bias", ("attention_bias",)),
    Row(4, "ALiBi", ("alibi",)),
    Row(4, "relative position", ("attention_relative", "attention_relative_bias", "attention_relative_shift")),
    Row(4, "fully masked rows defined", ("attention_graph", "attention_window")),
    Row(4, "sinusoidal and rotary position", ("sinusoidal_position", "rotary")),
    Row(4, "e_i + a_i as a concatenated one-hot", ("token_and_position", "one_hot_concatenated")),
    Row(4, "linear (kernel) attention", ("linear_attention",)),
    Row(4, "logit soft-capping", ("attention_soft_cap",)),
    Row(4, "sliding window", ("attention_sliding_window",)),
    Row(4, "sink token", ("attention_sink", "softmax_plus_one")),
    Row(4, "the options of a library: scale, masks, dropout with a saved mask", _OPTIONS),
    # 5. Structure
    Row(5, "embedding lookup (repeated ids add)", ("embedding", "embedding_bag", "embedding_bag_weighted", "embedding_padded")),
    Row(5, "flatten and reshape", ("flatten", "reshape")),
    Row(5, "concatenation", ("concatenation",)),
    Row(
        5,
        "1-D and 2-D convolution (with stride, padding, depthwise)",
        ("convolution_1d", "convolution_2d", "convolution_grouped", "convolution_same", "depthwise_convolution"),
    ),
    Row(
        5, "average and max pooling", ("average_pool_1d", "average_pool_2d", "average_pool_shares", "max_pool_1d", "max_pool_2d", "picked")
    ),
    Row(5, "convolution as fixed-shift attention", ("convolution_as_attention",)),
    Row(5, "recurrent cells: RNN, GRU, LSTM", ("rnn_cell", "gru_cell", "lstm_cell")),
    Row(5, "a short unrolled sequence with shared weights (sum over time)", ("rnn_sequence",)),
    Row(5, "a decay scan", ("decay_scan", "decay")),
    Row(5, "sequences as recurrences: RNN, GRU, LSTM, gated linear attention", ("rnn", "gru", "lstm", "gated_linear_attention")),
    Row(5, "low-rank (LoRA)", ("lora",)),
    Row(5, "Kronecker and bilinear layers", ("kronecker", "bilinear")),
    Row(5, "factorisation machine", ("factorisation_machine", "factorisation_machine_pairs")),
    Row(5, "RBF and polynomial features", ("rbf", "polynomial_kernel", "quadratic_features", "fourier_features")),
    Row(5, "mixture-of-experts gate", ("mixture_of_experts", "top_k_gate")),
    Row(5, "MLP block (GELU, SwiGLU)", ("mlp_gelu", "mlp_swiglu")),
    Row(5, "a highway gate", ("highway",)),
    Row(5, "two- and three-layer nets", ("two_layer", "three_layer")),
    Row(5, "a whole pre-norm transformer block", ("transformer_block", "transformer_block_heads")),
    Row(5, "any acyclic graph of layers (compose), a cycle rejected by name", ("rnn_sequence", "transformer_block")),
    # 6. Beyond gradients
    Row(6, "Jacobian (row and column convention, J = W for z = W x)", ("linear", "linear_out_in")),
    Row(6, "JVP", ("linear", "softmax", "attention", "mse", "cross_entropy")),
    Row(6, "double backward and Hessian-vector product", ("linear", "softmax", "attention", "mse", "cross_entropy")),
    Row(
        6,
        "closed-form Hessian of linear regression, logistic regression and softmax cross-entropy",
        ("linear_regression", "logistic_regression", "cross_entropy"),
    ),
    Row(6, "the parameter updates of SGD, momentum, Adam proved equal to torch.optim's step", _UPDATES),
    Row(6, "symmetric-matrix variables", ("symmetric_log_determinant",)),
    Row(6, "trace, log-det, inverse and determinant rules", _MATRICES),
)
