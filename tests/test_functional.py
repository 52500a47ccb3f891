"""The generated functions against torch.nn.functional: its operator database, its signatures, its masks, and what it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as theirs
from torch import Tensor

import generated.torch.functional as ours
from benchmarks.opdb import Row, compare, errors, operators
from codegen.targets.functional import layers_of
from derive.layers import LAYERS
from derive.layers.signatures import SIGNATURES


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---------------------------------------------------------------------------------------------------- drop-in


@pytest.mark.parametrize("op", operators(), ids=lambda op: f"{op.name}-{op.variant_test_name}")
def test_samples_of_the_operator_database_agree(op: Any) -> None:
    """Some samples of each, from first to last; all of them: `python -m benchmarks.opdb`."""
    row = compare(op, torch.float64, limit=12)
    assert row.samples and not row.failures


SHORT = ("softmax", "nn.functional.cross_entropy", "nn.functional.linear", "nn.functional.layer_norm", "nn.functional.prelu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("op", [op for op in operators() if op.name in SHORT and not op.variant_test_name], ids=lambda op: op.name)
def test_short_types_come_no_further_from_float64_than_torch(op: Any, dtype: torch.dtype) -> None:
    assert not compare(op, dtype).failures


REFUSING = [op for op in operators() if op.error_inputs_func]


@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_error_inputs_raise_the_same_type(op: Any) -> None:
    row = errors(op, Row(op.name, torch.float32))
    assert row.errors and not row.failures


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_arguments_have_the_names_order_and_defaults_of_torch(signature: Any) -> None:
    # torch chooses between two functions by `return_indices`: the arguments are those of either.
    function = getattr(theirs, f"_{signature.name}" if "return_indices" in signature.parameters else signature.name)
    found = inspect.signature(getattr(ours, signature.name)).parameters
    try:
        wanted = inspect.signature(function).parameters
    except ValueError:
        # A builtin says its arguments in the first line of its documentation alone.
        assert function.__doc__ is not None
        text = " ".join(function.__doc__.split()).partition("(")[2].partition(") ->")[0].replace("*, ", "")
        wanted = inspect.signature(eval(f"lambda {text.rstrip(',')}: 0")).parameters
    assert list(found) == list(wanted)
    for name, parameter in wanted.items():
        assert found[name].default == parameter.default, name


def test_every_kernel_of_a_signature_is_in_the_catalogue() -> None:
    names = {layer.name for layer in LAYERS}
    for signature in SIGNATURES:
        assert set(layers_of(signature)) <= names
        assert layers_of(signature) or not signature.reals, "a signature of its own types calls a kernel"


def test_a_function_without_a_kernel_is_that_of_torch() -> None:
    assert ours.pad is theirs.pad


def agree(function: str, *arguments: Any, **options: Any) -> None:
    """Values and gradients equal those of torch, along a random direction."""
    moving = [value for value in (*arguments, *options.values()) if isinstance(value, Tensor) and value.requires_grad]
    results = []
    for module in (ours, theirs):
        torch.manual_seed(0)
        value = getattr(module, function)(*arguments, **options)
        results.append([value, *torch.autograd.grad(value, moving, random(*value.shape, seed=9).to(value.dtype))])
    for got, want in zip(*results):
        assert got.shape == want.shape and got.dtype == want.dtype
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11, equal_nan=True)


# ---------------------------------------------------------------------------------------------------- attention

MASKS: dict[str, Callable[[], dict[str, Any]]] = {
    "none": dict,
    "causal": lambda: {"is_causal": True},
    "boolean": lambda: {"attn_mask": random(3, 1, 5, 7) > 0},
    "boolean row hidden": lambda: {"attn_mask": torch.arange(5)[:, None].expand(5, 7) != 2},
    "added": lambda: {"attn_mask": random(2, 5, 7).requires_grad_()},
    "added minus infinity": lambda: {"attn_mask": torch.where(random(5, 7) > 0, 0.5, float("-inf")).double()},
    "scaled": lambda: {"scale": 0.3},
    "dropped": lambda: {"dropout_p": 0.4},
    "dropped and causal": lambda: {"dropout_p": 0.4, "is_causal": True},
}


@pytest.mark.parametrize("grouped", [False, True], ids=["", "grouped"])
@pytest.mark.parametrize("name", MASKS)
def test_attention_takes_every_option(name: str, grouped: bool) -> None:
    query = random(3, 2 if not grouped else 4, 5, 6, seed=1).requires_grad_()
    key, value = random(3, 2, 7, 6, seed=2).requires_grad_(), random(3, 2, 7, 8, seed=3).requires_grad_()
    options = MASKS[name]()
    if grouped and "attn_mask" in options and options["attn_mask"].ndim == 3:
        options["attn_mask"] = random(4, 5, 7).requires_grad_()
    if grouped and "dropout_p" in options:
        pytest.skip("torch draws the mask in another order of heads")
    agree("scaled_dot_product_attention", query, key, value, **options, enable_gqa=grouped)


def test_a_query_that_sees_no_key_gets_zeros_and_gives_no_gradient() -> None:
    query, key, value = (random(1, 4, 3, seed=seed).requires_grad_() for seed in range(3))
    seen = torch.ones(4, 4, dtype=torch.bool)
    seen[2] = False
    for mask in (seen, torch.where(seen, 0.0, float("-inf")).double()):
        found = ours.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        assert (found[0, 2] == 0).all()
        for gradient in torch.autograd.grad(found.sum(), (query, key, value)):
            assert gradient.isfinite().all()
        (gradient,) = torch.autograd.grad(ours.scaled_dot_product_attention(query, key, value, attn_mask=mask).sum(), query)
        assert (gradient[0, 2] == 0).all()


# ---------------------------------------------------------------------------------------------------- labels, reductions, layouts


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_takes_every_option_together(reduction: str, smoothing: float, weighted: bool) -> None:
    logits = random(4, 3, 2, 5).requires_grad_()
    labels = torch.randint(0, 3, (4, 2, 5), generator=torch.Generator().manual_seed(1))
    labels[0, 1, 2] = labels[3, 0, 0] = -7
    weight = random(3).abs() if weighted else None
    agree("cross_entropy", logits, labels, weight, ignore_index=-7, reduction=reduction, label_smoothing=smoothing)
    targets = random(4, 3, 2, 5, seed=2).softmax(1).requires_grad_()
    agree("cross_entropy", logits, targets, weight, reduction=reduction, label_smoothing=smoothing)


def test_an_ignored_row_may_hold_anything() -> None:
    logits = random(3, 4)
    logits[1] = float("nan")
    logits.requires_grad_()
    labels = torch.tensor([1, -100, 2])
    (gradient,) = torch.autograd.grad(ours.cross_entropy(logits, labels), logits)
    assert (gradient[1] == 0).all() and gradient.isfinite().all()


def test_padding_has_no_gradient() -> None:
    agree("embedding", torch.tensor([[1, 4, 1], [0, 4, 2]]), random(5, 3).requires_grad_(), padding_idx=4)
    agree("embedding", torch.tensor([[1, 4, 1], [0, 4, 2]]), random(5, 3).requires_grad_(), padding_idx=-2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_entries(name: str, weighted: bool) -> None:
    input, target = random(4, 3).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    for reduction in ("mean", "sum", "none"):
        agree(name, input, target, reduction=reduction, weight=random(4, 3, seed=2).abs() if weighted else None)


def test_strided_expanded_and_empty_inputs() -> None:
    weight = random(6, 5).T[:, ::2].requires_grad_()
    agree("linear", random(1, 4, 3).expand(2, 4, 3).transpose(0, 1).requires_grad_(), weight)
    agree("softmax", random(4, 3, 2).transpose(0, 2)[::2].requires_grad_(), 1)
    agree("linear", random(0, 3).requires_grad_(), weight)
    agree("layer_norm", random(0, 3).requires_grad_(), (3,))
    agree("mse_loss", random(0, 3).requires_grad_(), random(0, 3), reduction="sum")
    agree("mse_loss", random(0, 3).requires_grad_(), random(0, 3))
    agree("scaled_dot_product_attention", *(random(0, 4, 3).requires_grad_() for _ in range(3)))
    agree("scaled_dot_product_attention", random(2, 4, 3).requires_grad_(), *(random(2, 0, 3).requires_grad_() for _ in range(2)))


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_move_as_those_of_torch(name: str) -> None:
    pairs = [(torch.zeros(3).double(), torch.ones(3).double()) for _ in range(2)]
    options = {"training": True} if name == "batch_norm" else {}
    for module, (mean, variance) in zip((ours, theirs), pairs):
        getattr(module, name)(random(4, 3, 5), mean, variance, momentum=0.3, **options)
    for got, want in zip(*pairs):
        torch.testing.assert_close(got, want)


def test_in_place_changes_the_input_and_keeps_the_gradient() -> None:
    leaf = random(4, 3).requires_grad_()
    found = leaf * 2
    ours.relu(found, inplace=True)
    (gradient,) = torch.autograd.grad(found.sum(), leaf)
    assert torch.equal(found, leaf.mul(2).relu()) and torch.equal(gradient, 2.0 * (leaf > 0))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_autocast_gives_the_types_of_torch_and_sums_in_float32(kind: torch.dtype) -> None:
    input, weight, bias = random(5, 64).float(), random(3, 64).float().requires_grad_(), random(3).float().requires_grad_()
    labels = torch.tensor([0, 2, 1, 1, 0])
    results = []
    for module in (ours, theirs):
        with torch.autocast("cpu", kind):
            logits = module.linear(input, weight, bias)
            loss = module.cross_entropy(logits, labels)
            soft = module.softmax(logits, -1)
        results.append((logits, loss, soft, *torch.autograd.grad(loss, (weight, bias))))
    for got, want in zip(*results):
        assert got.dtype == want.dtype
        torch.testing.assert_close(got, want, rtol=2e-2, atol=2e-2)


# ---------------------------------------------------------------------------------------------------- what is refused

A, B = random(5, 4), random(3, 4)
LABELS = torch.tensor([0, 1, 2, 3, 1])
REFUSED: tuple[tuple[type[Exception], str, Callable[[], Any]], ...] = (
    (RuntimeError, "linear: input is (5, 4) and weight is (4, 3): axis -1", lambda: ours.linear(A, B.T)),
    (RuntimeError, "linear: weight holds torch.float32 and input holds torch.float64", lambda: ours.linear(A, B.float())),
    (RuntimeError, "linear: input holds torch.int64", lambda: ours.linear(A.long(), B)),
    (TypeError, "linear(): argument 'input' must be Tensor, not list", lambda: ours.linear([1.0], B)),
    (RuntimeError, "softmax: input holds torch.int64", lambda: ours.softmax(A.long(), 1)),
    (IndexError, "softmax: Dimension out of range", lambda: ours.softmax(A, 2)),
    (IndexError, "cross_entropy: target holds 9, which is out of bounds", lambda: ours.cross_entropy(A, LABELS + 6 * (LABELS > 2))),
    (IndexError, "cross_entropy: target holds -1, which is out of bounds", lambda: ours.cross_entropy(A, LABELS - 1)),
    (ValueError, "batch_size (5) to match target batch_size (3)", lambda: ours.cross_entropy(A, LABELS[:3])),
    (RuntimeError, "cross_entropy: target holds torch.float64", lambda: ours.cross_entropy(A, LABELS.double())),
    (RuntimeError, "for all 4 classes", lambda: ours.cross_entropy(A, LABELS, weight=torch.ones(3).double())),
    (ValueError, "abc is not a valid value for reduction", lambda: ours.mse_loss(A, A, reduction="abc")),
    (RuntimeError, "mse_loss: the shapes are (5, 4) and (3, 4)", lambda: ours.mse_loss(A, B)),
    (RuntimeError, "axis -1 must agree", lambda: ours.scaled_dot_product_attention(A, B[:, :2], B)),
    (RuntimeError, "attn_mask has shape (2, 2)", lambda: ours.scaled_dot_product_attention(A, B, B, attn_mask=torch.ones(2, 2) > 0)),
    (RuntimeError, "attn_mask.dtype: torch.int64", lambda: ours.scaled_dot_product_attention(A, B, B, attn_mask=LABELS)),
    (RuntimeError, "is_causal=True", lambda: ours.scaled_dot_product_attention(A, A, A, A @ A.T, is_causal=True)),
    (RuntimeError, "layer_norm: Given normalized_shape=[3]", lambda: ours.layer_norm(A, (3,))),
    (IndexError, "embedding: input holds 5", lambda: ours.embedding(torch.tensor([1, 5]), A)),
    (RuntimeError, "linear: weight is on meta and input is on cpu", lambda: ours.linear(A, B.to("meta"))),
    (NotImplementedError, "embedding: sparse=True is not derived", lambda: ours.embedding(LABELS, A, sparse=True)),
)


@pytest.mark.parametrize(("kind", "text", "call"), REFUSED, ids=[text for _, text, _ in REFUSED])
def test_what_is_refused_names_the_function_the_argument_and_the_axis(kind: type[Exception], text: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_nan_in_is_nan_out_and_nothing_else_touched() -> None:
    rows = random(4, 3)
    clean = ours.softmax(rows, 1)
    rows[1, 2] = float("nan")
    found = ours.softmax(rows, 1)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2, 3]], clean[[0, 2, 3]])


ENTRYWISE = {
    **dict.fromkeys(("relu", "leaky_relu", "elu", "selu", "celu", "silu", "gelu", "mish", "sigmoid", "tanh", "softplus", "softsign"), ()),
    **dict.fromkeys(("relu6", "hardtanh", "hardsigmoid", "hardswish", "logsigmoid", "tanhshrink", "softshrink", "hardshrink"), ()),
    "threshold": (0.1, 2.0),
}


@pytest.mark.parametrize("name", ENTRYWISE)
def test_an_activation_passes_nan_on(name: str) -> None:
    found = getattr(ours, name)(torch.tensor([float("nan"), 1.0]), *ENTRYWISE[name])
    assert found[0].isnan() and found[1].isfinite()


@pytest.mark.parametrize("ceil", [False, True])
def test_the_largest_of_windows_is_the_first_of_equal_ones_and_never_padding(ceil: bool) -> None:
    image = torch.zeros(2, 3, 5, 7, dtype=torch.float64).index_fill_(3, torch.tensor([2, 3]), 1.0)
    image[0] = -torch.inf
    image.requires_grad_()
    options = {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1, "dilation": (1, 2), "ceil_mode": ceil, "return_indices": True}
    (found, places), (wanted, there) = (module.max_pool2d(image, **options) for module in (ours, theirs))
    assert torch.equal(found, wanted) and torch.equal(places, there)
    upstream = random(*wanted.shape)
    got, want = (torch.autograd.grad(value, image, upstream)[0] for value in (found, wanted))
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("padding", ["same", "valid", 1, (2, 1)])
def test_convolution_takes_every_option_together(padding: Any) -> None:
    image, weight, bias = (
        random(2, 4, 9, 8).requires_grad_(),
        random(6, 2, 3, 2, seed=1).requires_grad_(),
        random(6, seed=2).requires_grad_(),
    )
    stride = 1 if padding == "same" else (2, 1)
    agree("conv2d", image, weight, bias, stride, padding, (2, 1), 2)
    agree("conv1d", image[0, :, :, 0], weight[..., 0], None, 1, padding if isinstance(padding, str) else 1, groups=2)
