"""The test of a user's kernels: both of them against autograd on the author's own equations.

The plain function is lowered from the equations as they were written, before any proof rewrote them, and torch differentiates it.
"""

from __future__ import annotations

from typing import Any

from codegen.lower import lower_equations
from codegen.passes.order import ordered
from codegen.program import Program
from codegen.targets.parts import Parts, digest, dims_of
from codegen.targets.spellings import TORCH
from codegen.targets.text import tuple_of
from codegen.targets.torch import plain_support
from derive.expr import Fact, Iverson, MatrixFn, Num, Ref, Sum, walk
from derive.indices import tensors_in
from derive.lengths import small_sizes
from derive.rules import symmetric
from derive.signs import is_comparison
from derive.write import write

LARGEST = 6
"""What is added to the diagonal of a square matrix of smaller entries, so that it is far from singular."""
OWN = (
    *("plain", "inputs_of", "numbers", "case", "load", "listed", "arrays", "assert_equal", "seeds", "seed", "signed", "random"),
    *("HERE", "WRT", "UNUSED", "pytest", "np", "importlib", "Path"),
)
"""Names that the test itself uses."""


def context(derivation: Any, program: Program) -> dict[str, Any]:
    """Every field of `templates/test.py.jinja`, as lines."""
    layer = derivation.layer
    parts = Parts(derivation, program, TORCH, (program.name, *OWN))
    block = ordered(lower_equations(layer.equations, layer.inputs, layer.outputs))
    names = parts.names
    lines = [*parts.lengths(dims_of(block), program.inputs), *parts.code(block)]
    plain = [*lines, f"return {tuple_of([names[n] for n in layer.outputs])}"]
    inputs, reason = _inputs(parts)
    support = plain_support(lines)
    return {
        "digest": digest(layer),
        "name": program.name,
        "imports": [
            f"import {name}"
            for name in ("itertools", "math", "operator")
            if any(f"{name}." in line for line in [*plain, *inputs, *support])
        ],
        "parameters": ", ".join(names[n] for n in program.inputs),
        "plain": plain,
        "inputs": inputs,
        "wrt": tuple_of([str(k) for k, n in enumerate(program.inputs) if n in program.wrt]),
        "twice": _twice(parts),
        "skip": [f'pytestmark = pytest.mark.skip("{reason}")'] if reason else [],
        "support": support,
    }


def _twice(parts: Parts) -> list[str]:
    """The check of the second order: what a fact is about stays as it is there, since moving one entry alone would break the fact."""
    program, layer = parts.program, parts.derivation.layer
    about = {name for fact in layer.facts for name in (*tensors_in(fact.left), *tensors_in(fact.right)) if name in program.wrt}
    held = [k for k, name in enumerate(program.inputs) if name in about]
    check = "assert torch.autograd.gradgradcheck(kernel, inputs, fast_mode=fast)"
    if not held:
        return [check]
    lines = ["# Moving one entry of these alone would break the hypothesis that the gradients rest on."]
    lines += [f"inputs[{k}] = inputs[{k}].detach()" for k in held]
    return [*lines, check] if len(held) < len(program.wrt) else []


def _inputs(parts: Parts) -> tuple[list[str], str]:
    """Lines that make random inputs respecting the facts; and, where that is not known how, the reason to skip."""
    program, layer = parts.program, parts.derivation.layer
    lines = _lengths(parts)
    bound = {name for fact in layer.facts for side in (fact.left, fact.right) for name in tensors_in(side)}
    inverted = any(isinstance(node, MatrixFn) for equation in layer.equations for node in walk(equation.value))
    # Where a matrix is inverted, the square inputs are kept far from singular.
    square = {t.name for t in layer.tensors if inverted and len(t.dims) > 1 and t.dims[-1] == t.dims[-2]}
    for name in program.inputs:
        tensor = parts.array(name)
        shape = tuple_of([parts.sizes[dim] for dim in tensor.dims]) if tensor.dims else "()"
        if tensor.is_plain_integer:
            continue  # a length among the others
        if tensor.kind == "int":
            lines.append(f"{parts.names[name]} = torch.randint(0, {parts.sizes[tensor.values or '']}, {shape}, generator=random)")
        else:
            # A scalar is a rate, a temperature or a margin.
            sign = "False" if name in bound or not tensor.dims else "signed"
            shift = f" + {LARGEST} * torch.eye({parts.sizes[tensor.dims[-1]]}, dtype=torch.float64)" if name in square else ""
            lines.append(f"{parts.names[name]} = numbers({shape}, random, {sign}){shift}")
    for fact in layer.facts:
        line = _normalised(fact, parts)
        if line is None:
            return [*lines, _returned(parts)], f"inputs with {write(fact)} are left to you: make them in inputs_of and remove this mark"
        lines += [line] if line else []
    return [*lines, _returned(parts)], ""


def _lengths(parts: Parts) -> list[str]:
    """The lengths of the axes, pairwise different and others for each seed; or, where lengths follow from plain integers, some that fit."""
    layer = parts.derivation.layer
    integers = {t.name: parts.names[t.name] for t in layer.tensors if t.is_plain_integer}
    if layer.sizes or integers:
        fitting = small_sizes(layer, largest=2000)
        return [f"{integers.get(name) or parts.sizes[name]} = {length}" for name, length in fitting.items()]
    if not layer.dims:
        return []
    return [f"{', '.join(parts.sizes[dim] for dim in layer.dims)} = {', '.join(f'{n} + seed' for n, _ in enumerate(layer.dims, 2))}"]


def _returned(parts: Parts) -> str:
    return f"return [{', '.join(parts.names[n] for n in parts.program.inputs)}]"


def _normalised(fact: Fact, parts: Parts) -> str | None:
    """A sum over axes of one input that is a number: its entries are divided by their sum. A symmetric matrix: it is made so. A bound
    of 0 or 1 on its entries: they are drawn between 1/2 and 3/2, and halved where they have to stay below 1."""
    name = symmetric(fact)
    if name in parts.program.inputs:
        return f"{parts.names[name]} = ({parts.names[name]} + {parts.names[name]}.mT) / 2"
    if is_comparison(fact):
        return _bounded(fact, parts)
    if not isinstance(fact.left, Sum) or not isinstance(fact.right, Num):
        return None
    body = fact.left.body
    if not isinstance(body, Ref) or body.tensor not in parts.program.inputs:
        return None
    over = tuple_of([str(body.indices.index(i)) for i in fact.left.indices])
    name = parts.names[body.tensor]
    scale = "" if fact.right.value == 1 else f" * {float(fact.right.value)}"
    return f"{name} = {name} / {name}.sum(dim={over}, keepdim=True){scale}"


def _bounded(fact: Fact, parts: Parts) -> str | None:
    assert isinstance(fact.left, Iverson)
    low, high = fact.left.left, fact.left.right
    if isinstance(high, Ref) and isinstance(low, Num) and low.value <= 0:
        return ""
    if isinstance(low, Ref) and isinstance(high, Num) and high.value >= 1:
        return f"{parts.names[low.tensor]} = {parts.names[low.tensor]} / 2"
    return None
