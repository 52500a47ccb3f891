"""Which modules of torch.nn call which function: a subclass of each keeps its parameters, so that state dicts load both ways."""

from __future__ import annotations

from dataclasses import dataclass

from derive.layers.signatures.form import lines


@dataclass(frozen=True)
class Module:
    """A module of torch.nn: the parameters of its `forward`, and its statements, in which `F` is the generated functional."""

    name: str
    parameters: str
    forward: str


def calling(name: str, function: str, settings: str = "", given: str = "input") -> Module:
    """A module that is one call of one function on what it is given and on settings of its own."""
    own = ", ".join(f"{argument}=self.{setting}" for argument, _, setting in (each.partition("=") for each in settings.split()))
    return Module(name, given, f"return F.{function}({', '.join(part for part in (given, own) if part)})")


_PAIR = "input, target"
_BATCH_NORM = """
    self._check_input_dim(input)
    momentum = 0.0 if self.momentum is None else self.momentum
    if self.training and self.track_running_stats and self.num_batches_tracked is not None:
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else momentum
    moving = not self.training or self.track_running_stats
    mean, variance = (self.running_mean, self.running_var) if moving else (None, None)
    training = self.training or (self.running_mean is None and self.running_var is None)
    return F.batch_norm(input, mean, variance, self.weight, self.bias, training, momentum, self.eps)
"""
_INSTANCE_NORM = """
    self._check_input_dim(input)
    whole = input.unsqueeze(0) if input.dim() == self._get_no_batch_dim() else input
    statistics = self.training or not self.track_running_stats
    momentum = 0.0 if self.momentum is None else self.momentum
    result = F.instance_norm(whole, self.running_mean, self.running_var, self.weight, self.bias, statistics, momentum, self.eps)
    return result.reshape(input.shape)
"""
_HEADS = """
    turned = self.batch_first and query.dim() == 3
    if turned:
        query, key, value = (rows.transpose(0, 1) for rows in (query, key, value))
    result, weights = F.multi_head_attention_forward(
        query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
        self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask, need_weights,
        attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
        average_attn_weights=average_attn_weights, is_causal=is_causal,
    )
    return (result.transpose(0, 1) if turned else result), weights
"""
_BAG = """
    return F.embedding_bag(
        input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse, per_sample_weights,
        self.include_last_offset, self.padding_idx,
    )
"""
_CONVOLUTION = """
    padding = self.padding
    if self.padding_mode != "zeros":
        input, padding = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode), 0
    return F.conv{0}d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
"""
_AVERAGE = "kernel_size=kernel_size stride=stride padding=padding ceil_mode=ceil_mode count_include_pad=count_include_pad"
_LARGEST = "kernel_size=kernel_size stride=stride padding=padding dilation=dilation ceil_mode=ceil_mode return_indices=return_indices"

MODULES: tuple[Module, ...] = (
    calling("Linear", "linear", "weight=weight bias=bias"),
    calling("Bilinear", "bilinear", "weight=weight bias=bias", "input1, input2"),
    Module(
        "MultiheadAttention",
        "query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False",
        lines(_HEADS),
    ),
    calling("LayerNorm", "layer_norm", "normalized_shape=normalized_shape weight=weight bias=bias eps=eps"),
    calling("RMSNorm", "rms_norm", "normalized_shape=normalized_shape weight=weight eps=eps", "x"),
    calling("GroupNorm", "group_norm", "num_groups=num_groups weight=weight bias=bias eps=eps"),
    Module("BatchNorm1d", "input", lines(_BATCH_NORM)),
    Module("BatchNorm2d", "input", lines(_BATCH_NORM)),
    Module("BatchNorm3d", "input", lines(_BATCH_NORM)),
    Module(
        "Embedding",
        "input",
        "return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)",
    ),
    Module(
        "EmbeddingBag",
        "input, offsets=None, per_sample_weights=None",
        lines(_BAG),
    ),
    Module("Conv1d", "input", lines(_CONVOLUTION.format(1))),
    Module("Conv2d", "input", lines(_CONVOLUTION.format(2))),
    calling("AvgPool1d", "avg_pool1d", _AVERAGE),
    calling("AvgPool2d", "avg_pool2d", f"{_AVERAGE} divisor_override=divisor_override"),
    calling("MaxPool1d", "max_pool1d", _LARGEST),
    calling("MaxPool2d", "max_pool2d", _LARGEST),
    calling("CosineSimilarity", "cosine_similarity", "dim=dim eps=eps", "x1, x2"),
    calling("PairwiseDistance", "pairwise_distance", "p=norm eps=eps keepdim=keepdim", "x1, x2"),
    calling("Softmax", "softmax", "dim=dim"),
    calling("LogSoftmax", "log_softmax", "dim=dim"),
    calling("Softmin", "softmin", "dim=dim"),
    calling("ReLU", "relu", "inplace=inplace"),
    calling("LeakyReLU", "leaky_relu", "negative_slope=negative_slope inplace=inplace"),
    calling("PReLU", "prelu", "weight=weight"),
    calling("ELU", "elu", "alpha=alpha inplace=inplace"),
    calling("SiLU", "silu", "inplace=inplace"),
    calling("GELU", "gelu", "approximate=approximate"),
    calling("Hardsigmoid", "hardsigmoid", "inplace=inplace"),
    calling("Sigmoid", "sigmoid"),
    calling("Tanh", "tanh"),
    calling("Softplus", "softplus", "beta=beta threshold=threshold"),
    calling("Hardtanh", "hardtanh", "min_val=min_val max_val=max_val inplace=inplace"),
    calling("ReLU6", "hardtanh", "min_val=min_val max_val=max_val inplace=inplace"),
    calling("Hardswish", "hardswish", "inplace=inplace"),
    calling("Mish", "mish", "inplace=inplace"),
    calling("SELU", "selu", "inplace=inplace"),
    calling("CELU", "celu", "alpha=alpha inplace=inplace"),
    calling("Softsign", "softsign"),
    calling("LogSigmoid", "logsigmoid"),
    calling("Tanhshrink", "tanhshrink"),
    calling("Softshrink", "softshrink", "lambd=lambd"),
    calling("Hardshrink", "hardshrink", "lambd=lambd"),
    calling("Threshold", "threshold", "threshold=threshold value=value inplace=inplace"),
    calling("GLU", "glu", "dim=dim"),
    Module("Softmax2d", "input", "return F.softmax(input, -3)"),
    calling("Dropout", "dropout", "p=p training=training inplace=inplace"),
    *(calling(f"Dropout{n}d", f"dropout{n}d", "p=p training=training inplace=inplace") for n in (1, 2, 3)),
    *(Module(f"InstanceNorm{n}d", "input", lines(_INSTANCE_NORM)) for n in (1, 2, 3)),
    calling("MSELoss", "mse_loss", "reduction=reduction", _PAIR),
    calling("L1Loss", "l1_loss", "reduction=reduction", _PAIR),
    calling("HuberLoss", "huber_loss", "reduction=reduction delta=delta", _PAIR),
    calling("SmoothL1Loss", "smooth_l1_loss", "reduction=reduction beta=beta", _PAIR),
    calling("SoftMarginLoss", "soft_margin_loss", "reduction=reduction", _PAIR),
    calling("KLDivLoss", "kl_div", "reduction=reduction log_target=log_target", _PAIR),
    calling("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", "weight=weight reduction=reduction pos_weight=pos_weight", _PAIR),
    calling("BCELoss", "binary_cross_entropy", "weight=weight reduction=reduction", _PAIR),
    calling("HingeEmbeddingLoss", "hinge_embedding_loss", "margin=margin reduction=reduction", _PAIR),
    calling("MultiMarginLoss", "multi_margin_loss", "p=p margin=margin weight=weight reduction=reduction", _PAIR),
    calling("MarginRankingLoss", "margin_ranking_loss", "margin=margin reduction=reduction", "input1, input2, target"),
    calling(
        "TripletMarginLoss", "triplet_margin_loss", "margin=margin p=p eps=eps swap=swap reduction=reduction", "anchor, positive, negative"
    ),
    calling(
        "TripletMarginWithDistanceLoss",
        "triplet_margin_with_distance_loss",
        "distance_function=distance_function margin=margin swap=swap reduction=reduction",
        "anchor, positive, negative",
    ),
    calling("CosineEmbeddingLoss", "cosine_embedding_loss", "margin=margin reduction=reduction", "input1, input2, target"),
    calling(
        "CrossEntropyLoss",
        "cross_entropy",
        "weight=weight ignore_index=ignore_index reduction=reduction label_smoothing=label_smoothing",
        _PAIR,
    ),
    calling("NLLLoss", "nll_loss", "weight=weight ignore_index=ignore_index reduction=reduction", _PAIR),
)
