"""Losses as torch.nn.functional has them, with every reduction."""

from derive.layers.signatures.form import OLD, Signature, lines, loss, weighted

_PAIR = f"input, target, {OLD}"
_SAME = '{0} = _together("{1}", {0})'

_LABELS = """
    dim = _classes("{name}", input.shape, target.shape, weight)
    length = input.shape[dim]
    labels = _flat(_integers("{name}", "target", target, length, ignore_index))
    kept = labels != ignore_index
    labels = torch.where(kept, labels, 0)
    kept = kept.to(input.dtype)
    classes = input.new_ones(length) if weight is None else weight.detach()
"""

_PROBABILITIES = """
    if target.shape == input.shape and target.is_floating_point():
        dim = 0 if input.ndim == 1 else 1
        if weight is not None and tuple(weight.shape) != (input.shape[dim],):
            raise RuntimeError(
                f"cross_entropy: weight tensor should be defined either for all {input.shape[dim]} classes or no classes but got weight "
                f"tensor of shape: {list(weight.shape)}"
            )
        classes = input.new_ones(input.shape[dim]) if weight is None else weight.detach()
        each = @cross_entropy_entries(_rows(input, dim), _rows(target.to(input.dtype), dim), classes, float(label_smoothing))
        if reduction == "none":
            return each.reshape([*input.shape[:dim], *input.shape[dim + 1 :]])
        return @sum_of_entries(each) if reduction == "sum" else @mean_of_entries(each)
"""

_CHOICE = """
    reduction = _reduction(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
"""

_ONE_LABEL = """
    if weight is None and not label_smoothing and reduction == "mean":
        return @cross_entropy_labels_kept(_rows(input, dim), labels, kept)
    each = @cross_entropy_labels_entries(_rows(input, dim), labels, classes, float(label_smoothing), kept)
"""

_REDUCED = """
    if reduction == "none":
        return each.reshape(target.shape)
    return @mean_per_weight(each, classes[labels] * kept) if reduction == "mean" else @sum_of_entries(each)
"""

_TRIPLET = """
    rows, near, far = _rows(anchor, -1), _rows(positive, -1), _rows(negative, -1)
    positive_distance = @row_distance(rows, near, float(eps)) if p == 2 else @row_distance_p(rows, near, float(eps), float(p))
    negative_distance = @row_distance(rows, far, float(eps)) if p == 2 else @row_distance_p(rows, far, float(eps), float(p))
    if swap:
        swapped = @row_distance(near, far, float(eps)) if p == 2 else @row_distance_p(near, far, float(eps), float(p))
        negative_distance = @smaller_entries(negative_distance, swapped)
"""

LOSSES = (
    weighted("mse_loss", f"{_PAIR}, weight=None", "@squared_difference(_flat(input), _flat(target))"),
    weighted("l1_loss", f"{_PAIR}, weight=None", "@absolute_difference(_flat(input), _flat(target))"),
    weighted(
        "huber_loss",
        "input, target, reduction='mean', delta=1.0, weight=None",
        "@huber_entries(_flat(input), _flat(target), _positive('huber_loss', 'delta', delta))",
        "@mean_of_entries(each)",
    ),
    loss(
        "smooth_l1_loss",
        f"{_PAIR}, beta=1.0",
        "input target",
        "@smooth_l1_entries(_flat(input), _flat(target), float(beta)) if beta else @absolute_difference(_flat(input), _flat(target))",
        """
        if beta < 0:
            raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
        input, target = _together("smooth_l1_loss", input, target)""",
    ),
    loss(
        "soft_margin_loss",
        _PAIR,
        "input target",
        "@soft_margin_entries(_flat(input), _flat(target))",
        _SAME.format("input, target", "soft_margin_loss"),
    ),
    Signature(
        "kl_div",
        f"{_PAIR}, log_target=False",
        "input target",
        lines("""
        reduction = _reduction(reduction, size_average, reduce, ("none", "mean", "sum", "batchmean"))
        input, target = _together("kl_div", input, target)
        each = @kl_log_entries(_flat(input), _flat(target)) if log_target else @kl_entries(_flat(input), _flat(target))
        if reduction == "none":
            return each.reshape(input.shape)
        if reduction == "mean":
            return @mean_of_entries(each)
        return @sum_of_entries(each) / (input.shape[0] if reduction == "batchmean" and input.ndim else 1)
        """),
        "promote",
        "wide",
    ),
    loss(
        "binary_cross_entropy_with_logits",
        "input, target, weight=None, size_average=None, reduce=None, reduction='mean', pos_weight=None",
        "input target weight pos_weight",
        "each if weight is None else @weighted_entries(each, _flat(weight.detach().expand(input.shape)))",
        """
        if target.shape != input.shape:
            raise ValueError(
                f"binary_cross_entropy_with_logits: Target size ({target.shape}) must be the same as input size ({input.shape})"
            )
        positive = torch.ones_like(input) if pos_weight is None else pos_weight.detach().expand(input.shape)
        each = @bce_with_logits_entries(_flat(input), _flat(target), _flat(positive))""",
    ),
    loss(
        "binary_cross_entropy",
        "input, target, weight=None, size_average=None, reduce=None, reduction='mean'",
        "input target weight",
        "each if weight is None else @weighted_entries(each, _flat(weight.detach().expand(input.shape)))",
        """
        if target.shape != input.shape:
            raise ValueError(
                f"binary_cross_entropy: Using a target size ({target.shape}) that is different to the input size ({input.shape})"
            )
        if _looks_inside(input) and ((input < 0) | (input > 1)).any():
            raise RuntimeError("binary_cross_entropy: all elements of input should be between 0 and 1")
        each = @bce_entries(_flat(input), _flat(target), math.exp(-100))""",
    ),
    loss(
        "hinge_embedding_loss",
        f"input, target, margin=1.0, {OLD}",
        "input target",
        "@hinge_embedding_entries(_flat(input), _flat(target.detach()), float(margin))",
        _SAME.format("input, target", "hinge_embedding_loss"),
    ),
    loss(
        "multi_margin_loss",
        f"input, target, p=1, margin=1.0, weight=None, {OLD}",
        "input weight",
        "@multi_margin_entries(input.reshape(-1, length), labels, classes, float(p), float(margin))",
        """
        if p not in (1, 2):
            raise ValueError(f"multi_margin_loss: only p == 1 and p == 2 supported, not {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"multi_margin_loss: weight must be one-dimensional, but has shape {tuple(weight.shape)}")
        if input.ndim > 2 or 0 in input.shape[-1:]:
            raise RuntimeError(
                "multi_margin_loss: Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
                f"{list(input.shape)}"
            )
        length = input.shape[-1] if input.ndim else 1
        rows = input.shape[0] if input.ndim == 2 else 1
        if target.ndim > 1 or target.numel() != rows:
            raise RuntimeError(
                "multi_margin_loss: target tensor should be 1-D with size equal to that of axis 0 of input. "
                f"Expected target size [{rows}], but got {list(target.shape)}"
            )
        labels = _flat(_integers("multi_margin_loss", "target", target, length))
        classes = input.new_ones(length) if weight is None else weight.detach()
        if tuple(classes.shape) != (length,):
            raise RuntimeError(f"multi_margin_loss: inconsistent weight size, expected {length} but got {list(classes.shape)}")""",
        "target.shape",
        "refuse",
    ),
    Signature(
        "linear_cross_entropy",
        "input, linear_weight, target, *, linear_bias=None, weight=None, reduction='mean', ignore_index=None, label_smoothing=0.0, "
        "options=None",
        "",
        lines("""
        if input.ndim not in (1, 2):
            raise RuntimeError(f"linear_cross_entropy: expected input with dimensionality 1 or 2, got {input.ndim}")
        if linear_weight.ndim < 2:
            raise RuntimeError(f"linear_cross_entropy: expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
        shape, features = linear_weight.shape[:-1], linear_weight.shape[-1]
        if input.shape[-1] != features:
            raise RuntimeError(
                "linear_cross_entropy: expected equal input and linear_weight last dimensions (in_features), got "
                f"{input.shape[-1]} and {features}, respectively"
            )
        if len(shape) > 1 and input.ndim == 1:
            raise RuntimeError(
                f"linear_cross_entropy: K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires "
                f"batched input, (N, {features}), got unbatched input with shape {tuple(input.shape)}"
            )
        if linear_bias is not None and linear_bias.shape != shape:
            raise RuntimeError(f"linear_cross_entropy: expected linear_bias shape {tuple(shape)}, got {tuple(linear_bias.shape)}")
        if ignore_index is not None and target.is_floating_point():
            raise RuntimeError("linear_cross_entropy: ignore_index cannot be specified when target contains probabilities")
        bias = None if linear_bias is None else linear_bias.reshape(-1)
        logits = linear(input, linear_weight.reshape(-1, features), bias).reshape(*input.shape[:-1], *shape)
        ignored = -100 if ignore_index is None else ignore_index
        return cross_entropy(
            logits, target, weight=weight, reduction=reduction, ignore_index=ignored, label_smoothing=label_smoothing
        )
        """),
    ),
    loss(
        "margin_ranking_loss",
        f"input1, input2, target, margin=0, {OLD}",
        "input1 input2 target",
        "@margin_ranking_entries(_flat(input1), _flat(input2), _flat(target), float(margin))",
        """
        if not input1.ndim == input2.ndim == target.ndim:
            raise RuntimeError(
                "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
                f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
            )
        input1, input2, target = _together("margin_ranking_loss", input1, input2, target)""",
        "input1.shape",
    ),
    loss(
        "triplet_margin_loss",
        f"anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, {OLD}",
        "anchor positive negative",
        "@margin_of_distances(positive_distance, negative_distance, float(margin))",
        lines(
            """
        if margin <= 0:
            raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
        if not anchor.ndim == positive.ndim == negative.ndim:
            raise RuntimeError(
                "triplet_margin_loss: The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
                f"but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
            )
        _power("triplet_margin_loss", p)
        anchor, positive, negative = _together("triplet_margin_loss", anchor, positive, negative)
        """,
            _TRIPLET,
        ),
        "anchor.shape[:-1]",
    ),
    loss(
        "triplet_margin_with_distance_loss",
        "anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction='mean'",
        "anchor positive negative",
        "@margin_of_distances(_flat(near), _flat(far), float(margin))",
        """
        if margin <= 0:
            raise ValueError(f"triplet_margin_with_distance_loss: margin must be greater than 0, got {margin}")
        if not anchor.ndim == positive.ndim == negative.ndim:
            raise RuntimeError(
                "triplet_margin_with_distance_loss: The anchor, positive, and negative tensors are expected to have the same number of "
                f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
            )
        measure = pairwise_distance if distance_function is None else distance_function
        near, far = measure(anchor, positive), measure(anchor, negative)
        if swap:
            swapped = measure(positive, negative)
            far = @smaller_entries(_flat(far), _flat(swapped)).reshape(far.shape)""",
        "near.shape",
    ),
    loss(
        "cosine_embedding_loss",
        f"input1, input2, target, margin=0, {OLD}",
        "input1 input2 target",
        "@cosine_embedding_entries(_rows(input1, -1), _rows(input2, -1), _flat(target.detach()), float(margin), 1e-12)",
        """
        input1, input2 = _together("cosine_embedding_loss", input1, input2)
        if target.shape != input1.shape[:-1]:
            raise RuntimeError(
                f"cosine_embedding_loss: The size of target ({tuple(target.shape)}) must match that of the inputs without their last "
                f"axis {tuple(input1.shape[:-1])}"
            )""",
        "input1.shape[:-1]",
    ),
    Signature(
        "cross_entropy",
        "input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean', label_smoothing=0.0",
        "input weight",
        lines(_CHOICE, _PROBABILITIES, _LABELS.format(name="cross_entropy"), _ONE_LABEL, _REDUCED),
        "refuse",
        "wide",
    ),
    Signature(
        "nll_loss",
        "input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction='mean'",
        "input weight",
        lines(
            "reduction = _reduction(reduction, size_average, reduce)",
            _LABELS.format(name="nll_loss"),
            "each = @nll_entries(_rows(input, dim), labels, classes, kept)",
            _REDUCED,
        ),
        "refuse",
        "wide",
    ),
)
