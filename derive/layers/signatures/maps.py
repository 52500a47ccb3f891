"""Linear maps, attention, norms, tables and similarities, as torch.nn.functional has them."""

from derive.layers.signatures.form import Signature, lines

MAPS = (
    Signature(
        "linear",
        "input, weight, bias=None",
        "input weight bias",
        lines("""
        if weight.ndim != 2 or not input.ndim or input.shape[-1] != weight.shape[1]:
            raise RuntimeError(f"linear: input is {tuple(input.shape)} and weight is {tuple(weight.shape)}: axis -1 of input and axis 1 of "
                "weight are the features, and must agree (mat1 and mat2 shapes cannot be multiplied)")
        if bias is not None and bias.shape not in ((weight.shape[0],), (1,), ()):
            raise RuntimeError(f"linear: bias is {tuple(bias.shape)} and weight is {tuple(weight.shape)}: bias has an entry for each row")
        rows = _rows(input, -1)
        result = @linear_weight(rows, weight) if bias is None else @linear_out_in(rows, weight, bias.expand(weight.shape[0]))
        return result.reshape(*input.shape[:-1], weight.shape[0])
        """),
        "low",
        "low",
    ),
    Signature(
        "bilinear",
        "input1, input2, weight, bias=None",
        "input1 input2 weight bias",
        lines("""
        if input1.shape[:-1] != input2.shape[:-1]:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match: got {input1.shape} and {input2.shape}")
        for name, each, axis in (("input1", input1, 1), ("input2", input2, 2)):
            if each.shape[-1] != weight.shape[axis]:
                raise RuntimeError(
                    f"bilinear(): {name} size does not match weight size: got {each.shape[-1]} but expected {weight.shape[axis]}"
                )
        bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
        result = @bilinear(_rows(input1, -1), _rows(input2, -1), weight, bias)
        return result.reshape(*input1.shape[:-1], weight.shape[0])
        """),
        "low",
        "low",
    ),
    Signature(
        "scaled_dot_product_attention",
        "query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False",
        "query key value",
        lines("""
        dropout_p = _probability(dropout_p)
        scale = (1 / math.sqrt(query.shape[-1]) if query.ndim and query.shape[-1] else 1.0) if scale is None else float(scale)
        mask = _mask("scaled_dot_product_attention", attn_mask, query, kind)
        Q, K, V, mask, how = _queries("scaled_dot_product_attention", query, key, value, mask, is_causal, enable_gqa)
        if not K.shape[1] or not Q.shape[0]:
            return _heads(Q @ K.mT @ V, how)
        seen, bias = _seen(mask)
        if dropout_p:
            places = (*Q.shape[:2], K.shape[1])
            if is_causal and seen is None:
                seen = torch.ones(places[1:], dtype=torch.bool, device=Q.device).tril().expand(places)
            seen = Q.new_ones(places) if seen is None else seen.to(Q.dtype)
            bias = Q.new_zeros(places) if bias is None else bias
            dropped = _kept(places, dropout_p, Q) / (1 - dropout_p) if dropout_p < 1 else Q.new_zeros(places)
            return _heads(@attention_dropped(Q, K, V, bias, seen, dropped, scale), how)
        if bias is not None:
            return _heads(@attention_masked_bias(Q, K, V, bias, seen.to(Q.dtype), scale), how)
        if seen is not None:
            return _heads(@attention_masked(Q, K, V, seen.to(Q.dtype), scale), how)
        if is_causal:
            return _heads(@attention_causal_scaled(Q, K, V, scale), how)
        return _heads(@attention_scaled(Q, K, V, scale), how)
        """),
        "refuse",
        "low",
    ),
    Signature(
        "layer_norm",
        "input, normalized_shape, weight=None, bias=None, eps=1e-05",
        "input weight bias",
        lines("""
        count = _normalized("layer_norm", input.shape, normalized_shape, weight=weight, bias=bias)
        rows = input.reshape(math.prod(input.shape[: input.ndim - len(normalized_shape)]), count)
        scale = input.new_ones(count) if weight is None else _flat(weight)
        shift = input.new_zeros(count) if bias is None else _flat(bias)
        return @layer_norm(rows, scale, shift, float(eps)).reshape(input.shape)
        """),
        "parameters",
        "accelerator",
    ),
    Signature(
        "rms_norm",
        "input, normalized_shape, weight=None, eps=None",
        "input weight",
        lines("""
        count = _normalized("rms_norm", input.shape, normalized_shape, weight=weight)
        rows = input.reshape(math.prod(input.shape[: input.ndim - len(normalized_shape)]), count)
        scale = input.new_ones(count) if weight is None else _flat(weight)
        eps = torch.finfo(input.dtype).eps if eps is None else float(eps)
        return @rms_norm(rows, scale, eps).reshape(input.shape)
        """),
        "parameters",
        "same",
    ),
    Signature(
        "group_norm",
        "input, num_groups, weight=None, bias=None, eps=1e-05",
        "input weight bias",
        lines("""
        if input.ndim < 2:
            raise RuntimeError(f"group_norm: Expected at least 2 dimensions for input tensor but received {input.ndim}")
        channels = input.shape[1]
        if num_groups <= 0 or channels % num_groups:
            raise RuntimeError(
                "group_norm: Expected number of channels in input to be divisible by num_groups, but got input of shape "
                f"{list(input.shape)} and num_groups={num_groups}"
            )
        _channels("group_norm", channels, weight=weight, bias=bias)
        shape = (num_groups, channels // num_groups)
        X = input.reshape(input.shape[0], *shape, math.prod(input.shape[2:]))
        scale = input.new_ones(channels) if weight is None else weight
        shift = input.new_zeros(channels) if bias is None else bias
        return @group_norm(X, scale.reshape(shape), shift.reshape(shape), float(eps)).reshape(input.shape)
        """),
        "parameters",
        "accelerator",
    ),
    Signature(
        "batch_norm",
        "input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05",
        "input weight bias",
        lines("""
        if not training and (running_mean is None or running_var is None):
            raise RuntimeError("batch_norm: running_mean and running_var must be defined in evaluation mode")
        if input.ndim < 2:
            if input.numel():
                raise RuntimeError(f"batch_norm: input has shape {tuple(input.shape)}, expected 2 axes or more, channels second")
            return input.clone()
        channels = input.shape[1]
        _channels("batch_norm", channels, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
        scale = input.new_ones(channels) if weight is None else weight
        shift = input.new_zeros(channels) if bias is None else bias
        rows = _rows(input, 1)
        if not training:
            mean, variance = running_mean.detach().to(input.dtype), running_var.detach().to(input.dtype)
            return _unrows(@batch_norm_eval(rows, scale, shift, mean, variance, float(eps)), input.shape, 1)
        if rows.shape[0] == 1:
            raise ValueError(f"batch_norm: Expected more than 1 value per channel when training, got input size {input.shape}")
        _running(rows, running_mean, running_var, momentum)
        return _unrows(@batch_norm(rows, scale, shift, float(eps)), input.shape, 1)
        """),
        "parameters",
        "same",
    ),
    Signature(
        "instance_norm",
        "input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05",
        "input weight bias",
        lines("""
        if input.ndim < 2:
            raise RuntimeError(f"instance_norm: input has shape {tuple(input.shape)}, expected 2 axes or more, channels second")
        channels = input.shape[1]
        _channels("instance_norm", channels, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
        scale = input.new_ones(channels) if weight is None else weight
        shift = input.new_zeros(channels) if bias is None else bias
        if not use_input_stats:
            if running_mean is None or running_var is None:
                raise RuntimeError("instance_norm: Expected running_mean and running_var to be defined when use_input_stats is false")
            mean, variance = running_mean.detach().to(input.dtype), running_var.detach().to(input.dtype)
            return _unrows(@batch_norm_eval(_rows(input, 1), scale, shift, mean, variance, float(eps)), input.shape, 1)
        each = input.reshape(*input.shape[:2], 1, math.prod(input.shape[2:]))
        if each.shape[-1] == 1:
            raise ValueError(f"instance_norm: Expected more than 1 spatial element when training, got input size {input.shape}")
        _running(each.detach().permute(3, 0, 1, 2).flatten(2), running_mean, running_var, momentum)
        return @group_norm(each, scale[:, None], shift[:, None], float(eps)).reshape(input.shape)
        """),
        "parameters",
        "same",
    ),
    Signature(
        "embedding",
        "input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False",
        "weight",
        lines("""
        if weight.ndim != 2:
            raise RuntimeError(f"embedding: 'weight' must be 2-D, and has shape {tuple(weight.shape)}")
        _refused("embedding", max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        padding = _place("embedding", padding_idx, weight.shape[0])
        places = _flat(_integers("embedding", "input", input, weight.shape[0]))
        if padding is None:
            return @embedding(weight, places[None])[0].reshape(*input.shape, weight.shape[1])
        kept = (places != padding).to(weight.dtype)
        return @embedding_padded(weight, weight.detach(), places, kept).reshape(*input.shape, weight.shape[1])
        """),
        "low",
    ),
    Signature(
        "embedding_bag",
        "input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False, mode='mean', sparse=False, "
        "per_sample_weights=None, include_last_offset=False, padding_idx=None",
        "weight per_sample_weights",
        lines("""
        _refused("embedding_bag", max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        given = (input, weight, offsets, per_sample_weights, mode, include_last_offset)
        tokens, numbers, bags, weights = _bags("embedding_bag", *given)
        tokens = _integers("embedding_bag", "input", tokens, weight.shape[0])
        padding = _place("embedding_bag", padding_idx, weight.shape[0])
        if padding is not None:
            numbers = torch.where(tokens == padding, bags, numbers)
        if mode == "max":
            places = _largest_of_bags(weight.detach(), tokens, numbers, bags)
            return @picked(torch.nn.functional.pad(weight.mT, (0, 1)), places).mT
        if mode == "mean":
            weights = weights / (numbers[:, None] == numbers).sum(1)
        return @embedding_bag_weighted(weight, weights, tokens, numbers, bags + 1)[:bags]
        """),
    ),
    Signature(
        "normalize",
        "input, p=2.0, dim=1, eps=1e-12, out=None",
        "input",
        lines("""
        if out is not None:
            raise NotImplementedError("normalize: out= has no gradient and is not derived here; use torch.nn.functional.normalize for it")
        if math.isinf(p):
            raise NotImplementedError(f"normalize: p={p} is not derived here, only finite powers; use torch.nn.functional.normalize for it")
        dim = _axis("normalize", input.ndim, dim)
        rows = _rows(input, dim)
        if p == 0:
            shares = 1 / (rows.detach() != 0).sum(-1, keepdim=True).clamp(min=eps).to(input.dtype)
            return _unrows(@weighted_entries(_flat(rows), _flat(shares.expand(rows.shape))).reshape(rows.shape), input.shape, dim)
        return _unrows(@rows_normalized(rows, float(p), float(eps)), input.shape, dim)
        """),
        autocast="accelerator",
    ),
    Signature(
        "cosine_similarity",
        "x1, x2, dim=1, eps=1e-8",
        "x1 x2",
        lines("""
        x1, x2 = _together("cosine_similarity", x1, x2)
        dim = _axis("cosine_similarity", x1.ndim, dim)
        result = @cosine_similarity(_rows(x1, dim), _rows(x2, dim), float(eps))
        return result.reshape([*x1.shape[:dim], *x1.shape[dim + 1 :]])
        """),
        "promote",
        "accelerator",
    ),
    Signature(
        "pairwise_distance",
        "x1, x2, p=2.0, eps=1e-6, keepdim=False",
        "x1 x2",
        lines("""
        _power("pairwise_distance", p)
        x1, x2 = _together("pairwise_distance", x1, x2)
        first, second = _rows(x1, -1), _rows(x2, -1)
        result = @row_distance(first, second, float(eps)) if p == 2 else @row_distance_p(first, second, float(eps), float(p))
        return result.reshape([*x1.shape[:-1], *([1] if keepdim else [])])
        """),
        "promote",
    ),
)
