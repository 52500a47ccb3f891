"""Everyone who computes a row: the generated kernels, by hand, torch, JAX, HIPS autograd and PyTensor, each forward and backward.

A contestant is built by a function of the row and its values; what is missing or cannot do a row raises Skipped, which says why.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import formulas
from benchmarks.rows import Row

Run = Callable[[], Any]
"""One forward and one backward pass; returns (output, gradients in the order of row.wrt)."""
Values = Mapping[str, Any]


class Skipped(Exception):
    """Why a contestant is not measured on a row."""


def _import(name: str, package: str = "") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skipped(f"{package or name} is not installed") from None


def _arguments(row: Row, values: Values) -> list[Any]:
    return [values[name] for name in row.shapes]


# ---------------------------------------------------------------------------------------------------- ours


def ours_numpy(row: Row, values: Values) -> Run:
    module = _import(f"generated.numpy.{row.layer}")
    arguments, upstream = _arguments(row, values), values["upstream"]

    def run() -> Any:
        value, saved = module.forward(*arguments)
        return value, module.backward(upstream, saved)

    return run


def _tensors(row: Row, values: Values, record: bool) -> tuple[list[Any], list[Any], Any]:
    """The inputs, those to differentiate, and the upstream gradient, as torch tensors."""
    torch = _import("torch")
    leaves = [torch.from_numpy(values[name].copy()) for name in row.shapes]
    if record:
        for name, leaf in zip(row.shapes, leaves):
            leaf.requires_grad_(name in row.wrt)
    return leaves, [leaf for leaf in leaves if leaf.requires_grad], torch.from_numpy(values["upstream"].copy())


def _recorded(row: Row, values: Values, function: Callable[..., Any]) -> Run:
    """As torch's users call it: the output, then autograd.grad."""
    torch = _import("torch")
    leaves, wanted, upstream = _tensors(row, values, True)

    def run() -> Any:
        value = function(*leaves)
        return value, torch.autograd.grad(value, wanted, upstream)

    return run


def ours_torch(row: Row, values: Values) -> Run:
    return _recorded(row, values, getattr(_import(f"generated.torch.{row.layer}", "torch"), row.layer))


def ours_pair(row: Row, values: Values) -> Run:
    """The generated torch module's own forward and backward, without autograd."""
    module = _import(f"generated.torch.{row.layer}", "torch")
    if not hasattr(module, "backward"):
        raise Skipped("the generated torch module has no forward and backward of its own")
    leaves, _, upstream = _tensors(row, values, False)

    def run() -> Any:
        value, saved = module.forward(*leaves)
        return value, module.backward(upstream, saved)

    return run


def _by_hand(target: str) -> Callable[[Row, Values], Run]:
    def build(row: Row, values: Values) -> Run:
        _import({"numpy": "threadpoolctl", "torch": "torch"}[target])
        by_hand = importlib.import_module(f"benchmarks.by_hand_{target}")
        if row.layer not in by_hand.FORMS:
            raise Skipped("not written by hand")
        made: Run = by_hand.FORMS[row.layer](row, values)
        return made

    return build


# ---------------------------------------------------------------------------------------------------- theirs


def eager(row: Row, values: Values) -> Run:
    _import("torch")
    return _recorded(row, values, formulas.fused(row))


def plain(row: Row, values: Values) -> Run:
    """Attention as a composition of torch's operators, for which eager has a fused one."""
    _import("torch")
    if not row.attends:
        raise Skipped("the same as eager")
    return _recorded(row, values, formulas.formula(row, formulas.torch_operators()))


def compiled(row: Row, values: Values) -> Run:
    torch = _import("torch")
    torch._dynamo.reset()
    return _recorded(row, values, torch.compile(formulas.fused(row)))


def jax(row: Row, values: Values) -> Run:
    jax = _import("jax")
    function = formulas.formula(row, formulas.jax_operators())
    names = tuple(row.shapes)
    places = tuple(names.index(name) for name in row.wrt)
    arguments = [jax.numpy.asarray(value) for value in _arguments(row, values)]
    upstream = jax.numpy.asarray(values["upstream"])

    def both(upstream: Any, *arguments: Any) -> Any:
        def of_wrt(*wrt: Any) -> Any:
            given = list(arguments)
            for place, value in zip(places, wrt):
                given[place] = value
            return function(*given)

        value, pull = jax.vjp(of_wrt, *(arguments[place] for place in places))
        return value, pull(upstream)

    run = jax.jit(both)
    return lambda: jax.block_until_ready(run(upstream, *arguments))


def autograd(row: Row, values: Values) -> Run:
    core = _import("autograd", "HIPS autograd")
    _import("scipy")
    function = formulas.formula(row, formulas.autograd_operators())
    names = tuple(row.shapes)
    arguments, upstream = _arguments(row, values), values["upstream"]
    pass_both = core.make_vjp(function, tuple(names.index(name) for name in row.wrt))

    def run() -> Any:
        pull, value = pass_both(*arguments)
        return value, pull(upstream)

    return run


def pytensor(row: Row, values: Values) -> Run:
    pytensor = _import("pytensor", "PyTensor")
    tensor = importlib.import_module("pytensor.tensor")
    kinds = {name: tensor.tensor(name, dtype=str(values[name].dtype), shape=shape) for name, shape in row.shapes.items()}
    upstream = tensor.tensor("upstream", dtype="float32", shape=values["upstream"].shape)
    with pytensor.config.change_flags(floatX="float32"):
        value = formulas.formula(row, formulas.pytensor_operators())(*kinds.values())
        gradients = pytensor.grad(None, [kinds[name] for name in row.wrt], known_grads={value: upstream})
        run = pytensor.function([*kinds.values(), upstream], [value, *gradients], on_unused_input="ignore")
    arguments = [*_arguments(row, values), values["upstream"]]

    def both() -> Any:
        value, *gradients = run(*arguments)
        return value, gradients

    return both


OURS = ("ours NumPy", "ours torch", "ours torch pair")
EVERY: dict[str, Callable[[Row, Values], Run]] = {
    "ours NumPy": ours_numpy,
    "ours torch": ours_torch,
    "ours torch pair": ours_pair,
    "by hand NumPy": _by_hand("numpy"),
    "by hand torch": _by_hand("torch"),
    "eager": eager,
    "plain": plain,
    "compile": compiled,
    "JAX": jax,
    "autograd": autograd,
    "PyTensor": pytensor,
}
"""Name -> what builds it. Eager is torch's own operators, fused where there is one (SDPA for attention)."""


def of_target(target: str | None) -> tuple[str, ...]:
    """The contestants when one target alone is asked for: ours of that target, and everyone else."""
    if target is None:
        return tuple(EVERY)
    other = {"numpy": "torch", "torch": "numpy"}[target]
    return tuple(name for name in EVERY if name.split()[0] not in ("ours", "by") or other not in name.lower().split())


def chosen(words: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The contestants of these that are named, with commas between. Raises ValueError for a name that no contestant has."""
    asked = [word.strip() for word in words.split(",") if word.strip()]
    for word in asked:
        if word not in EVERY:
            raise ValueError(f"no contestant is called {word}; write some of {', '.join(EVERY)}")
    return tuple(name for name in names if name in asked)
