"""Attention of several heads with its projections, as torch.nn.functional has it: a composition of other signatures."""

from derive.layers.signatures.form import Signature, lines

_PROJECTED = """
    batched = query.ndim == 3
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    count, batch, features = query.shape
    if features != embed_dim_to_check or features % num_heads:
        raise AssertionError(
            f"multi_head_attention_forward: query has {features} features, expected {embed_dim_to_check}, a multiple of {num_heads} heads"
        )
    if is_causal and attn_mask is None:
        raise RuntimeError("multi_head_attention_forward: Need attn_mask if specifying the is_causal hint.")
    causal = is_causal and key_padding_mask is None and not need_weights
    mask = None if causal else _added("multi_head_attention_forward", "attn_mask", attn_mask, query)
    padding = _added("multi_head_attention_forward", "key_padding_mask", key_padding_mask, query)
    if not use_separate_proj_weight:
        q_proj_weight, k_proj_weight, v_proj_weight = in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q = linear(query, q_proj_weight, biases[0])
    k = linear(key, k_proj_weight, biases[1])
    v = linear(value, v_proj_weight, biases[2])
"""

_KEYS = """
    if bias_k is not None and bias_v is not None:
        k, v = (torch.cat([rows, bias.expand(1, batch, -1)]) for rows, bias in ((k, bias_k), (v, bias_v)))
    heads = batch * num_heads
    q, k, v = (rows.reshape(rows.shape[0], heads, features // num_heads).transpose(0, 1) for rows in (q, k, v))
    k, v = k if static_k is None else static_k, v if static_v is None else static_v
    if add_zero_attn:
        k, v = (torch.cat([rows, rows.new_zeros(heads, 1, rows.shape[-1])], 1) for rows in (k, v))
    mask = _wider(mask, k.shape[1])
    padding = _wider(padding, k.shape[1])
    if mask is not None:
        if tuple(mask.shape) not in ((count, k.shape[1]), (heads, count, k.shape[1])):
            raise RuntimeError(
                f"multi_head_attention_forward: The shape of the attn_mask is {tuple(mask.shape)}, "
                f"but should be {(count, k.shape[1])} or {(heads, count, k.shape[1])}."
            )
        mask = mask.expand(heads, count, k.shape[1])
    if padding is not None:
        padding = padding.reshape(batch, 1, 1, k.shape[1]).expand(batch, num_heads, count, k.shape[1]).reshape(heads, count, k.shape[1])
        mask = padding if mask is None else mask + padding
    dropout_p = dropout_p if training else 0.0
"""

_OUTPUT = """
    weights = None
    if need_weights:
        kind, Q, K, V = _given("multi_head_attention_forward", "refuse", query=q, key=k, value=v)
        seen, bias = _seen(Q.new_zeros(heads, count, k.shape[1]) if mask is None else mask.to(Q.dtype))
        dropped = _kept(bias.shape, dropout_p, Q) / (1 - dropout_p) if 0 < dropout_p < 1 else torch.full_like(Q[:, :, :1], 1.0 - dropout_p)
        dropped = dropped.expand(bias.shape)
        result, weights = @attention_with_weights(Q, K, V, bias, seen.to(Q.dtype), dropped, 1 / math.sqrt(features // num_heads))
        result, weights = result.to(kind), weights.to(kind).reshape(batch, num_heads, count, k.shape[1])
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    else:
        result = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    result = linear(result.transpose(0, 1).reshape(count, batch, features), out_proj_weight, out_proj_bias)
    return result if batched else result.squeeze(1), weights
"""

HEADS = (
    Signature(
        "multi_head_attention_forward",
        "query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn, dropout_p, "
        "out_proj_weight, out_proj_bias, training=True, key_padding_mask=None, need_weights=True, attn_mask=None, "
        "use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, "
        "average_attn_weights=True, is_causal=False",
        "",
        lines(_PROJECTED, _KEYS, _OUTPUT),
        returns="tuple[Tensor, Any]",
    ),
)
