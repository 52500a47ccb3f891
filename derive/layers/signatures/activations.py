"""Activations, softmax and dropout, as torch.nn.functional has them."""

from derive.layers.signatures.form import Signature, entrywise, lines

_ALONG = """
    dim = _axis("{name}", input.ndim, _implicit(dim, input.ndim))
    if not input.numel():
        return input.clone()
    return _unrows(@{layer}(_rows({sign}input, dim)), input.shape, dim)
"""
_DIM = "input, dim=None, _stacklevel=3, dtype=None"

_CHANNELS = """
    p = _probability(p)
    whole = input.unsqueeze(0) if input.ndim == {unbatched} else input
    if whole.ndim < 2:
        raise RuntimeError(f"{name}: input has shape {{tuple(input.shape)}}, expected 2 axes or more, channels second")
    if not training or p == 0 or not input.numel():
        return input
    mask = _kept((*whole.shape[:2], *[1] * (whole.ndim - 2)), p, input).expand(whole.shape)
    scale = 1 / (1 - p) if p < 1 else 0.0
    result = @dropout(input.reshape(1, -1), mask.reshape(1, -1), scale).reshape(input.shape)
    return given.copy_(result) if inplace else result
"""


def channelwise(count: int) -> Signature:
    """Dropout of whole channels of images with `count` axes. As in torch, an image without a batch is one for 1 and 3 axes only."""
    name = f"dropout{count}d"
    body = lines(_CHANNELS.format(name=name, unbatched=count + 1 if count != 2 else 0))
    return Signature(name, "input, p=0.5, training=True, inplace=False", "input", body)


SELU_OUTER, SELU_SCALE = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_ORDERED = """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} cannot be greater than max_val={max_val}")"""
_NONZERO = """
    if not alpha:
        raise RuntimeError("celu: ZeroDivisionError: alpha cannot be 0 for CELU")"""
_NOT_NEGATIVE = """
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}.")"""


def along(name: str, layer: str, sign: str = "") -> Signature:
    """A function of the rows along `dim`, which first casts its input to `dtype`."""
    body = lines(_ALONG.format(name=name, layer=layer, sign=sign))
    return Signature(name, _DIM, "input", body, autocast="accelerator")


ACTIVATIONS = (
    along("softmax", "softmax"),
    along("log_softmax", "log_softmax"),
    along("softmin", "softmax", "-"),
    entrywise("relu", "input, inplace=False", "@relu(X)"),
    entrywise("leaky_relu", "input, negative_slope=0.01, inplace=False", "@leaky_relu(X, float(negative_slope))"),
    entrywise("elu", "input, alpha=1.0, inplace=False", "@elu(X, float(alpha))"),
    entrywise("silu", "input, inplace=False", "@silu(X)"),
    entrywise("hardsigmoid", "input, inplace=False", "@hard_sigmoid(X)"),
    entrywise("sigmoid", "input", "@sigmoid(X)"),
    entrywise("tanh", "input", "@tanh(X)"),
    entrywise("softplus", "input, beta=1, threshold=20", "@softplus_scaled(X, float(beta), float(threshold))", autocast="accelerator"),
    entrywise(
        "gelu",
        "input, approximate='none'",
        '(@gelu(X) if approximate == "none" else @gelu_tanh(X))',
        """
        if approximate not in ("none", "tanh"):
            raise RuntimeError(f"gelu: approximate argument must be either none or tanh, not {approximate}")""",
    ),
    entrywise("hardtanh", "input, min_val=-1.0, max_val=1.0, inplace=False", "@hardtanh(X, float(min_val), float(max_val))", _ORDERED),
    entrywise("relu6", "input, inplace=False", "@hardtanh(X, 0.0, 6.0)"),
    entrywise("hardswish", "input, inplace=False", "@hard_swish(X)"),
    entrywise("mish", "input, inplace=False", "@mish(X)"),
    entrywise("selu", "input, inplace=False", f"@elu_scaled(X, {SELU_OUTER}, {SELU_SCALE}, 1.0)"),
    entrywise("celu", "input, alpha=1.0, inplace=False", "@elu_scaled(X, 1.0, float(alpha), float(alpha))", _NONZERO),
    entrywise("softsign", "input", "@softsign(X)"),
    entrywise("logsigmoid", "input", "(-@softplus(-X))"),
    entrywise("tanhshrink", "input", "@tanhshrink(X)"),
    entrywise("softshrink", "input, lambd=0.5", "@soft_shrink(X, float(lambd))", _NOT_NEGATIVE),
    entrywise("hardshrink", "input, lambd=0.5", "@hard_shrink(X, float(lambd), 0.0)"),
    entrywise("threshold", "input, threshold, value, inplace=False", "@threshold(X, float(threshold), float(value))"),
    Signature(
        "glu",
        "input, dim=-1",
        "input",
        lines("""
        if not input.ndim:
            raise RuntimeError("glu does not support 0-dimensional tensors")
        dim = _axis("glu", input.ndim, dim)
        if input.shape[dim] % 2:
            raise RuntimeError(f"glu: Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
        values, gates = input.chunk(2, dim)
        return @glu(values.reshape(1, -1), gates.reshape(1, -1)).reshape(values.shape)
        """),
    ),
    Signature(
        "prelu",
        "input, weight",
        "input weight",
        lines("""
        if weight.ndim > 1:
            raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
        if weight.numel() == 1:
            return @prelu(input.reshape(-1, 1), weight.reshape(1)).reshape(input.shape)
        if not input.ndim:
            raise RuntimeError("prelu: Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                "prelu: Mismatch of parameter numbers and input channel size. "
                f"Found parameter numbers = {weight.numel()} and channel size = {channels}."
            )
        return _unrows(@prelu(_rows(input, 1), weight), input.shape, 1)
        """),
    ),
    Signature(
        "dropout",
        "input, p=0.5, training=True, inplace=False",
        "input",
        lines("""
        p = _probability(p)
        if not training or p == 0 or not input.numel():
            return input
        mask = _kept(input.shape, p, input).reshape(1, -1)
        result = @dropout(input.reshape(1, -1), mask, 1 / (1 - p) if p < 1 else 0.0).reshape(input.shape)
        return given.copy_(result) if inplace else result
        """),
    ),
    *(channelwise(count) for count in (1, 2, 3)),
)
