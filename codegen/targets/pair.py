"""The pair of passes without autograd that a torch module has as a NumPy module does: `forward` and `backward`."""

from __future__ import annotations

import re

from codegen.targets.held import Held
from codegen.targets.parts import Parts, packed, unpacked
from codegen.targets.text import tuple_of


def pair(parts: Parts, held: Held) -> dict[str, list[str]]:
    """The fields of the template: what is saved, and the lines of both passes."""
    return {"fields": _fields(parts, held), "pair_forward": _forward(parts, held), "pair_backward": _backward(parts, held)}


def _lengths(parts: Parts, held: Held) -> tuple[str, ...]:
    """Axes whose lengths the backward pass needs and cannot read off a saved array."""
    program = parts.program
    upstream = [dim for name in program.upstream for dim in parts.array(name).dims]
    return parts.missing((*held.backward_dims, *upstream), program.saved)


def _fields(parts: Parts, held: Held) -> list[str]:
    program = parts.program
    arrays = [f"{parts.names[n]}: {held.kind(n)}" for n in program.saved]
    return [*arrays, *(f"{parts.sizes[dim]}: int" for dim in _lengths(parts, held))]


def _forward(parts: Parts, held: Held) -> list[str]:
    program, names = parts.program, parts.names
    given = [names[n] for n in program.inputs]
    validate = ", validate" if parts.derivation.layer.facts else ""
    real = [names[n] for n in program.inputs if parts.array(n).kind != "int"]
    outputs = [names[n] for n in program.outputs]
    lines = [f"{', '.join(given)} = _arguments({', '.join(given)}{validate})"]
    lines.append(f"{unpacked(real)} = _detached({', '.join(real)})")
    lines.append(f"{', '.join([*outputs, *(names[n] for n in held.extra)])} = _forward_pass({', '.join(given)})")
    lengths = _lengths(parts, held)
    lines += parts.lengths(lengths, program.inputs)
    kept = [*(names[n] for n in program.saved), *(parts.sizes[dim] for dim in lengths)]
    return [*lines, f"return {packed(outputs)}, Saved({', '.join(kept)})"]


def _backward(parts: Parts, held: Held) -> list[str]:
    program, names = parts.program, parts.names
    known = _lengths(parts, held)
    dims = (*held.own_lengths, *(dim for name in program.upstream for dim in parts.array(name).dims))
    lines = parts.lengths(dims, program.saved, known)
    like = next((names[n] for n in program.saved if parts.array(n).kind != "int" and n not in program.dropped), None)
    for name in program.upstream:
        shape = tuple_of([parts.sizes[dim] for dim in parts.array(name).dims])
        lines.append(f'{names[name]} = _upstream("{names[name]}", {names[name]}, {shape}, {like})')
    arguments = [argument if argument not in held.flags else "True" for argument in held.own_arguments]
    lines.append(f"return _backward_pass({', '.join(arguments)})")
    code = "\n".join(lines)
    fields = [field.partition(":")[0] for field in _fields(parts, held)]
    marked = [name if re.search(rf"\b{name}\b", code) else f"_{name}" for name in fields]
    return [*([f"{unpacked(marked)} = saved"] if marked else []), *lines]
