"""PyTorch's own databases of operators and modules against the generated ones: every sample input, forward, backward and double backward.

Run `python -m benchmarks.opdb [NAME ...]`; it needs torch and expecttest. Each value is compared with what torch computes in
float64 from the same inputs, and may be no further from it than torch's own value in the same type is, up to a tolerance
(1e-8 in float64: torch's hardsigmoid divides by 6 in float32; 1e-4 in float32: a LayerNorm of one entry cancels terms of 300).
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import sys
import unittest.mock
import warnings
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import generated.torch.functional as ours
import generated.torch.modules as modules

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4, torch.bfloat16: 2e-2}
SLACK = 4
"""How many times further than torch from the values of float64 a value of ours may be: both round, in another order."""

ONCE = ("chunked", "chunked_none")
"""Variants that torch differentiates once: its second order of a loss in chunks lacks terms, or raises."""


@dataclass
class Row:
    """What became of one operator in one type."""

    name: str
    dtype: torch.dtype
    samples: int = 0
    backward: int = 0
    second: int = 0
    errors: int = 0
    failures: list[str] = field(default_factory=list)


def operators() -> list[Any]:
    """The operators of the database that have a generated function."""
    from torch.testing._internal.common_methods_invocations import op_db

    found = [op for op in op_db if op.name.removeprefix("nn.functional.") in ours.__all__ and op.variant_test_name != "complex"]
    return sorted(found, key=lambda op: (op.name.removeprefix("nn.functional."), op.variant_test_name))


def compare(op: Any, dtype: torch.dtype, device: str = "cpu", limit: int | None = None) -> Row:
    """All samples of one operator in one type, and in float32 also the inputs that are errors. With a limit, about that many of the
    samples, from first to last."""
    name = op.name.removeprefix("nn.functional.")
    row = Row(f"{name} {op.variant_test_name}".strip(), dtype)
    function = getattr(ours, name)
    wrapped = op.op if _wrapped(op) else function
    samples = list(enumerate(op.sample_inputs(device, dtype, requires_grad=True)))
    for number, sample in samples[:: max(1, len(samples) // limit) if limit else 1]:
        given, twice = (sample.input, *sample.args), op.supports_gradgrad and op.variant_test_name not in ONCE
        _case(row, number, op.op, wrapped, given, sample.kwargs, twice, _in_place_of_torch(op, name))
    if dtype == torch.float32:
        errors(op, row, device)
    return row


def compare_module(info: Any, dtype: torch.dtype, device: str = "cpu", limit: int | None = None) -> Row:
    """The samples of one module of the database of modules, training and not: inputs and parameters, from one state dict. With a
    limit, that many of each, from first to last."""
    name = info.module_cls.__name__
    row = Row(f"nn.{name}", dtype)
    for training in (True, False):
        samples = info.module_inputs_func(info, device=device, dtype=dtype, requires_grad=True, training=training)
        for sample in samples[:: max(1, len(samples) // limit) if limit else 1]:
            if sample.forward_input is None:
                continue
            torch.manual_seed(0)
            pair = []
            for module in (torch.nn, modules):
                kwargs = {**sample.constructor_input.kwargs, **({"device": device, "dtype": dtype} if _placed(info.module_cls) else {})}
                pair.append(getattr(module, name)(*sample.constructor_input.args, **kwargs).to(dtype).train(training))
            pair[1].load_state_dict(pair[0].state_dict())
            parameters = dict(pair[0].named_parameters())
            given = (parameters, sample.forward_input.args, sample.forward_input.kwargs)
            calls = [partial(_called, module) for module in pair]
            _case(row, row.samples, calls[0], calls[1], given, {}, info.supports_gradgrad)
    return row


def _placed(kind: type) -> bool:
    return "device" in inspect.signature(kind.__init__).parameters


def _called(module: Any, parameters: Any, given: Any, options: Any) -> Any:
    module = copy.deepcopy(module).to(next((t.dtype for t in _tensors(parameters, given) if t.is_floating_point()), None))
    return torch.func.functional_call(module, parameters, given, options)


def module_operators() -> list[Any]:
    """The modules of the database of modules that have a generated one."""
    from torch.testing._internal.common_modules import module_db

    return [info for info in module_db if info.module_cls.__name__ in modules.__all__]


def _case(row: Row, number: int, theirs: Any, mine: Any, given: Any, options: Any, twice: bool, context: Any = None) -> None:
    """One sample: torch's results in its type and in float64, ours, and what differs. What torch has not, by its own word, is not
    asked of ours: neither a second order nor a type."""
    row.samples += 1
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the only one that torch differentiates twice
            wanted = _run(theirs, _copied(given, row.dtype), _copied(options, row.dtype), twice)
            exact = _run(theirs, _copied(given, torch.float64), _copied(options, torch.float64), twice)
    except (NotImplementedError, RuntimeError) as error:
        row.samples -= 1
        if "not implemented" not in str(error):
            raise
        if twice:
            _case(row, number, theirs, mine, given, options, False, context)
        return
    try:
        with context or nullcontext():
            found = _run(mine, _copied(given, row.dtype), _copied(options, row.dtype), twice)
    except Exception as error:
        row.failures.append(f"sample {number}: {type(error).__name__}: {error}")
        return
    row.backward += bool(found[1])
    row.second += bool(found[2])
    scale = max([1.0, *(float(t.detach().abs().nan_to_num(0, 0, 0).max()) for t in _tensors(exact) if t.numel())])
    for stage, got, want, true in zip(("forward", "backward", "double backward"), found, wanted, exact):
        row.failures += [f"sample {number}: {stage}: {what}" for what in _differences(got, want, true, row.dtype, scale)]


def _wrapped(op: Any) -> bool:
    """Whether the database calls torch's function by its name, in a function of its own: with a seed, or in another order."""
    return getattr(op.op, "__name__", "") == "<lambda>"


def _in_place_of_torch(op: Any, name: str) -> Any:
    """While it lasts, such a function calls ours. (A kernel may call torch's function of its own name, so not for all.)"""
    return unittest.mock.patch.object(torch.nn.functional, name, getattr(ours, name)) if _wrapped(op) else nullcontext()


def errors(op: Any, row: Row, device: str = "cpu") -> Row:
    """The inputs that torch refuses are refused with the same type of exception."""
    function = getattr(ours, op.name.removeprefix("nn.functional."))
    for case in op.error_inputs(device) if op.error_inputs_func else ():
        row.errors += 1
        sample = case.sample_input
        try:
            with _in_place_of_torch(op, function.__name__):
                (op.op if _wrapped(op) else function)(sample.input, *sample.args, **sample.kwargs)
        except Exception as error:
            if not isinstance(error, case.error_type):
                row.failures.append(f"error input {row.errors}: {type(error).__name__}, torch raises {case.error_type.__name__}: {error}")
        else:
            row.failures.append(f"error input {row.errors}: taken, torch raises {case.error_type.__name__}")
    return row


def _copied(value: Any, dtype: torch.dtype) -> Any:
    """The same arguments, every real tensor a leaf of its own."""
    if isinstance(value, Tensor):
        copy = value.detach().clone()
        if copy.is_floating_point():
            copy = copy.to(dtype)
        return copy.requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return type(value)(_copied(part, dtype) for part in value)
    if isinstance(value, dict):
        return {key: _copied(part, dtype) for key, part in value.items()}
    if isinstance(value, torch.dtype) and value.is_floating_point:
        return dtype
    if dtype == torch.float64 and getattr(value, "acc_dtype", None) is not None:
        # Options of a function that has half precision summed in a wider type.
        return dataclasses.replace(value, acc_dtype=None)
    return value


def _tensors(*values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict):
            yield from _tensors(*value.values())
        elif isinstance(value, (list, tuple)):
            yield from _tensors(*value)


def _run(function: Any, given: Any, options: Any, twice: bool) -> tuple[list[Any], list[Any], list[Any]]:
    """The value, its gradients, and those of the gradients, along fixed directions."""
    torch.manual_seed(0)
    values = list(_tensors(function(*given, **options)))
    moving = [tensor for tensor in _tensors(given, options) if tensor.requires_grad]
    if not values[0].requires_grad:
        return values, [], []
    generator = torch.Generator(values[0].device).manual_seed(1)

    def direction(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float32, device=like.device).to(like.dtype)

    smooth = [value for value in values if value.requires_grad]
    upstream = [direction(value).requires_grad_() for value in smooth]
    gradients = torch.autograd.grad(smooth, moving, upstream, create_graph=twice, allow_unused=True)
    parts = [(gradient * direction(gradient)).sum() for gradient in gradients if gradient is not None and gradient.requires_grad]
    second: list[Any] = []
    if twice and parts:
        second = list(torch.autograd.grad(sum(parts), [*moving, *upstream], allow_unused=True))
    return values, list(gradients), second


def _differences(found: Iterable[Any], wanted: Iterable[Any], exact: Iterable[Any], dtype: torch.dtype, scale: float) -> Iterator[str]:
    for number, (got, want, true) in enumerate(zip(found, wanted, exact)):
        if want is None or got is None:
            # Where nothing depends on an argument, torch gives None or zeros.
            left = got if want is None else want
            if left is not None and left.detach().abs().nan_to_num().max().item() if left is not None and left.numel() else False:
                yield f"result {number} is {'missing' if got is None else 'not missing'}"
            continue
        if got.dtype != want.dtype or got.shape != want.shape:
            yield f"result {number} is {got.dtype} {tuple(got.shape)}, torch's is {want.dtype} {tuple(want.shape)}"
            continue
        got, want, true = (tensor.detach().double() for tensor in (got, want, torch.zeros_like(got) if true is None else true))
        if not got.numel():
            continue
        allowed = TOLERANCE[dtype] * (true.abs() + scale) + SLACK * (want - true).abs().nan_to_num()
        same = (got == want) | (got.isnan() & want.isnan()) | ((got - true).abs() <= allowed)
        if not same.all():
            worst = (got - true).abs()[~same].max().item()
            yield f"result {number} is off by {worst:.2g} in {int((~same).sum())} of {same.numel()} entries"


def main(names: list[str], dtypes: Iterable[torch.dtype] = DTYPES) -> int:
    """Print the table; return 1 if anything fails."""
    warnings.simplefilter("ignore")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = [
        compare(op, dtype, device)
        for op in operators()
        if not names or op.name.removeprefix("nn.functional.") in names
        for dtype in dtypes
        if dtype in op.supported_dtypes(device)
    ]
    rows += [compare_module(info, dtype, device) for info in module_operators() if not names or info.name in names for dtype in dtypes]
    print(f"{'operator':40} {'type':9} {'samples':>7} {'backward':>8} {'double':>6} {'errors':>6}  failing")
    for row in rows:
        numbers = f"{row.samples:7} {row.backward:8} {row.second:6} {row.errors:6}"
        print(f"{row.name:40} {str(row.dtype).removeprefix('torch.'):9} {numbers}  {len(row.failures) or '-'}")
    for row in rows:
        for line in row.failures[:8]:
            print(f"{row.name}, {row.dtype}: {line}")
    failing = sum(bool(row.failures) for row in rows)
    total = sum(row.samples for row in rows)
    print(f"{len(rows)} rows, {total} samples of {len({row.name for row in rows})} operators; {failing or 'none'} failing")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
