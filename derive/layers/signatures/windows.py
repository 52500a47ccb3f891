"""Convolutions and poolings as torch.nn.functional has them: along one axis they are those of an image of one row."""

from derive.layers.signatures.form import Signature, lines


def convolution(name: str, count: int) -> Signature:
    """A convolution along the last `count` axes."""
    body = f"""
        X, W, h, places = _convolved("{name}", {count}, input, weight, bias, stride, padding, dilation, groups)
        result = @convolution_grouped(X, W, h, *places).flatten(1, 2)
        return _unwindowed(result, {count}, input.ndim)
    """
    parameters = "input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1"
    return Signature(name, parameters, "input weight bias", lines(body), "low", "low")


def average(name: str, count: int) -> Signature:
    """A mean over windows of the last `count` axes."""
    divisor = "divisor_override" if count == 2 else "None"
    body = f"""
        X, shares, places = _averaged("{name}", {count}, input, kernel_size, stride, padding, ceil_mode, count_include_pad, {divisor})
        result = @average_pool_shares(X, shares, *places)
        return result.reshape(*input.shape[: input.ndim - {count}], *result.shape[{3 - count} :])
    """
    parameters = "input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True"
    return Signature(name, parameters + ", divisor_override=None" * (count == 2), "input", lines(body))


def largest(name: str, count: int) -> Signature:
    """The largest entries of windows of the last `count` axes, and where they are: at a tie the first, as in torch."""
    body = f"""
        places = _largest("{name}", {count}, input.detach(), kernel_size, stride, padding, dilation, ceil_mode)
        rows = input.reshape(math.prod(input.shape[:-{count}]), math.prod(input.shape[-{count}:]))
        result = @picked(rows, places.reshape(rows.shape[0], math.prod(places.shape[-{count}:]))).reshape(places.shape)
        if return_indices:
            return result, places
        return result
    """
    parameters = "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False"
    return Signature(name, parameters, "input", lines(body), "low", returns="Any")


WINDOWS = (
    convolution("conv1d", 1),
    convolution("conv2d", 2),
    average("avg_pool1d", 1),
    average("avg_pool2d", 2),
    largest("max_pool1d", 1),
    largest("max_pool2d", 2),
)
