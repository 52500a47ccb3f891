"""How NumPy and torch spell the ops."""

from __future__ import annotations

from dataclasses import replace

from codegen.targets.text import Spelling

NUMPY = Spelling(
    module="np",
    axis="axis",
    permute="{0}.transpose({1})",
    maximum="max",
    vecdot="np.vecdot({0}, {1})",
    functions={
        "exp": "np.exp({0})",
        "exp2": "np.exp2({0})",
        "log": "np.log({0})",
        "sqrt": "np.sqrt({0})",
        "tanh": "np.tanh({0})",
        "sin": "np.sin({0})",
        "cos": "np.cos({0})",
        "abs": "np.abs({0})",
        "sign": "np.sign({0})",
        "erf": "_erf({0})",
        "sigmoid": "_sigmoid({0})",
        "softplus": "np.logaddexp({0}, 0)",
        "relu": "np.maximum({0}, 0)",
        "max": "np.maximum({0}, {1})",
        "min": "np.minimum({0}, {1})",
        "max number": "np.maximum({0}, {1})",
        "min number": "np.minimum({0}, {1})",
        "pow": "np.power({0}, {1})",
        "inv": "_inverse({0})",
        "det": "_determinant({0})",
        "logdet": "_log_determinant({0})",
        "xlogy": "_xlogy({0}, {1})",
    },
    copy="{0}.copy()",
    broadcast="np.broadcast_to({0}, {1}).copy()",
    full="np.full({0}, {1}, {2})",
    arange="np.arange({0})",
    eye="np.eye({0}, dtype={1})",
    one_hot="_one_hot({0}, {1}, {2})",
    take="_take({0}, {1}, {2})",
    diagonal="np.diagonal({0}, axis1={1}, axis2={2})",
    kind_of="{0}.dtype",
    real="{0}.astype({1})",
    discarding='with np.errstate(over="ignore", divide="ignore", invalid="ignore"):',
    in_place=True,
    unary=frozenset(("exp", "exp2", "log", "sqrt", "tanh", "sin", "cos", "abs", "sign")),
)

NUMPY_PARTS = replace(
    NUMPY, dot="np.vdot({0}, {1})", sums="_sum({0}, {1})", fill="_fill({{0}}, {1}, {0})", add_product="_add_product({0}, {1}, {2})"
)
"""For code that runs on one part after another."""

TORCH = Spelling(
    module="torch",
    axis="dim",
    permute="{0}.permute({1})",
    maximum="amax",
    vecdot="torch.linalg.vecdot({0}, {1})",
    functions={
        "exp": "torch.exp({0})",
        "exp2": "torch.exp2({0})",
        "log": "torch.log({0})",
        "sqrt": "torch.sqrt({0})",
        # 1 / x makes a tensor of the 1 first, which takes several times as long where x is small.
        "rsqrt": "torch.rsqrt({0})",
        "inverse": "torch.reciprocal({0})",
        "tanh": "torch.tanh({0})",
        "sin": "torch.sin({0})",
        "cos": "torch.cos({0})",
        "abs": "torch.abs({0})",
        "sign": "torch.sign({0})",
        "erf": "torch.erf({0})",
        "sigmoid": "torch.sigmoid({0})",
        "softplus": "torch.nn.functional.softplus({0}, threshold=40)",
        "relu": "torch.relu({0})",
        "max": "torch.maximum({0}, {1})",
        "min": "torch.minimum({0}, {1})",
        "max number": "{0}.clamp(min={1})",
        "min number": "{0}.clamp(max={1})",
        "pow": "torch.pow({0}, {1})",
        "inv": "torch.linalg.inv({0})",
        "det": "_determinant({0})",
        "logdet": "_log_determinant({0})",
        "xlogy": "torch.xlogy({0}, {1})",
    },
    copy="{0}.clone()",
    broadcast="{0}.expand({1}).clone()",
    full="{3}.new_full({0}, {1})",
    arange="torch.arange({0}, device={1}.device)",
    eye="torch.eye({0}, dtype={1}, device={2}.device)",
    one_hot="_one_hot({0}, {1}, {3})",
    take="torch.take_along_dim({0}, {1}, dim={2})",
    diagonal="torch.diagonal({0}, dim1={1}, dim2={2})",
    kind_of="{0}.dtype",
    real="{0}.to({1})",
    discarding="",
    added_at="_added_at({0}, {1}, {2})",
    gather="{0}.gather({2}, {1})",
    fused={"exp_share": "torch.softmax({0}, dim={1})", "exp_share_gradient": "_share_gradient({0}, dim={1})"},
)

TORCH_PRODUCTS = replace(TORCH, product="_product({0}, {1}{2})")
"""For code in which torch chooses who computes a product by its size."""

TORCH_IN_PLACE = replace(
    TORCH_PRODUCTS,
    in_place=True,
    fill="_fill({{0}}, {1}, {0})",
    add_product="_accumulate({0}, {1}, {2})",
    unary=frozenset((*NUMPY.unary, "erf", "sigmoid")),
    functions={**TORCH.functions, "exp": "_exp({0})"},
)
"""For code that no derivative is taken through."""


def with_plain_products(spelling: Spelling) -> Spelling:
    """torch's spelling with every product as torch computes it."""
    return replace(spelling, product="", add_product=spelling.add_product.replace("_accumulate", "_add_product"))
