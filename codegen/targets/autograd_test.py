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
from derive.expr import Fact, Num, Ref, Sum
from derive.lengths import small_sizes
from derive.write import write


def context(derivation: Any, program: Program) -> dict[str, Any]:
    """Every field of `templates/test.py.jinja`, as lines."""
    layer = derivation.layer
    parts = Parts(derivation, program, TORCH, (program.name, "plain", "inputs_of", "load", "HERE", "pytest", "np"))
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
        "skip": [f'pytestmark = pytest.mark.skip("{reason}")'] if reason else [],
        "support": support,
    }


def _inputs(parts: Parts) -> tuple[list[str], str]:
    """Lines that make random inputs respecting the facts; and, where that is not known how, the reason to skip."""
    program, layer = parts.program, parts.derivation.layer
    sizes = {name: str(n) for name, n in small_sizes(layer, largest=2000).items()}
    lines = []
    for name in program.inputs:
        tensor = parts.array(name)
        shape = tuple_of([sizes[dim] for dim in tensor.dims]) if tensor.dims else "()"
        if tensor.is_plain_integer:
            lines.append(f"{parts.names[name]} = {sizes[name]}")
        elif tensor.kind == "int":
            lines.append(f"{parts.names[name]} = torch.randint(0, {sizes[tensor.values or '']}, {shape}, generator=random)")
        else:
            lines.append(f"{parts.names[name]} = torch.rand({shape}, generator=random, dtype=torch.float64) + 0.5")
    for fact in layer.facts:
        line = _normalised(fact, parts)
        if line is None:
            return lines, f"inputs with {write(fact)} are left to you: make them in inputs_of and remove this mark"
        lines.append(line)
    return [*lines, f"return [{', '.join(parts.names[n] for n in program.inputs)}]"], ""


def _normalised(fact: Fact, parts: Parts) -> str | None:
    """A sum over axes of one input that is a number: its entries are divided by their sum."""
    if not isinstance(fact.left, Sum) or not isinstance(fact.right, Num):
        return None
    body = fact.left.body
    if not isinstance(body, Ref) or body.tensor not in parts.program.inputs:
        return None
    over = tuple_of([str(body.indices.index(i)) for i in fact.left.indices])
    name = parts.names[body.tensor]
    scale = "" if fact.right.value == 1 else f" * {float(fact.right.value)}"
    return f"{name} = {name} / {name}.sum(dim={over}, keepdim=True){scale}"
