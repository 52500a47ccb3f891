"""The NumPy target: a Program -> the finished lines of `templates/numpy.py.jinja`."""

from __future__ import annotations

from typing import Any

from codegen.program import Program
from codegen.support import numpy_support
from codegen.targets.parts import Parts, digest, dims_of, docstring, packed, saved_for, unpacked, used
from codegen.targets.spellings import NUMPY
from codegen.targets.support import functions_called
from codegen.targets.text import tuple_of


def context(derivation: Any, program: Program) -> dict[str, Any]:
    """Every field of the template, as lists of lines."""
    parts = Parts(derivation, program, NUMPY, ("dtype",))
    fields = _saved_lengths(parts)
    why = saved_for(parts, program.backward.ops)
    forward, backward, jvp = _forward(parts, fields), _backward(parts, fields), _jvp(parts)
    body = [*forward, *backward, *jvp]
    support = functions_called(numpy_support, body)
    code = "\n".join([*body, *support])
    names = parts.names
    values, gradients, upstream, tangents, value_tangents = (
        packed([names[n] for n in some])
        for some in (program.outputs, program.gradients, program.upstream, _tangents(program), [f"t{n}" for n in program.outputs])
    )
    several = "s" if len(program.gradients) > 1 else ""
    return {
        "digest": digest(derivation.layer),
        "doc": docstring(parts, f"{program.name}: forward pass, backward pass and forward mode in NumPy.", why),
        "imports": ["import math"] if "math." in code else [],
        "name": program.name,
        "axes": parts.axes_table((*program.inputs, *program.upstream, *_tangents(program))),
        "fields": [f"{name}: {kind}" for name, kind in _fields(parts, fields).items()],
        "forward_parameters": _annotated([names[n] for n in program.inputs]),
        "forward_returns": f"tuple[{_returned(len(program.outputs))}, Saved]",
        "forward_doc": f"Return ({values}, saved).",
        "forward": forward,
        "backward_parameters": _annotated([names[n] for n in program.upstream]),
        "backward_returns": _returned(len(program.gradients)),
        "backward_doc": f"Return {gradients}, the gradient{several} with upstream {upstream}.",
        "backward": backward,
        "jvp_parameters": _annotated([names[n] for n in (*program.inputs, *_tangents(program))]),
        "jvp_returns": f"tuple[{_returned(len(program.outputs))}, {_returned(len(program.outputs))}]",
        "jvp_doc": f"Return ({values}, {value_tangents}): the value and its derivative along {tangents}.",
        "jvp": jvp,
        "support": support,
    }


def _tangents(program: Program) -> tuple[str, ...]:
    return tuple(f"t{name}" for name in program.wrt)


def _annotated(parameters: list[str]) -> str:
    return ", ".join(f"{name}: Any" for name in parameters)


def _returned(count: int) -> str:
    return "Array" if count == 1 else f"tuple[{', '.join(['Array'] * count)}]"


def _saved_lengths(parts: Parts) -> tuple[str, ...]:
    """Axes whose lengths the backward pass needs and cannot read off a saved array."""
    program = parts.program
    wanted = [*dims_of(program.backward), *(dim for name in program.upstream for dim in parts.array(name).dims)]
    return parts.missing(wanted, program.saved)


def _fields(parts: Parts, lengths: tuple[str, ...]) -> dict[str, str]:
    """Field of `Saved` -> its type: arrays, the lengths that none of them has, and the element type where none has that."""
    program = parts.program
    found = {parts.names[name]: "Array" for name in program.saved}
    found.update({parts.sizes[dim]: "int" for dim in lengths})
    if all(parts.array(name).kind == "int" for name in program.saved):
        found["dtype"] = "Any"
    return found


def _arguments(parts: Parts, names: tuple[str, ...]) -> list[str]:
    """Lines that turn the arguments into arrays and check them."""
    real = [parts.names[n] for n in names if parts.array(n).kind != "int"]
    lines = [f"{unpacked(real)} = _real({', '.join(f'{n}={n}' for n in real)})"]
    labels = parts.label_axes(names)
    lines += [f"{parts.names[n]} = np.asarray({parts.names[n]})" for n in labels]
    lines.append(f"_check({', '.join(f'{parts.names[n]}={parts.names[n]}' for n in names)})")
    for name, axis in labels.items():
        holder = parts.holder(axis, names)
        if holder is not None:
            label, at = parts.names[name], parts.array(holder).dims.index(axis)
            lines.append(f'{label} = _labels("{label}", {label}, "{axis}", {parts.names[holder]}.shape[{at}])')
    return lines


def _nonempty(parts: Parts, dims: tuple[str, ...]) -> list[str]:
    return [f"_nonempty({', '.join(f'{parts.sizes[d]}={parts.sizes[d]}' for d in dims)})"] if dims else []


def _forward(parts: Parts, fields: tuple[str, ...]) -> list[str]:
    program = parts.program
    over = parts.maximum_axes(program.forward)
    lines = _arguments(parts, program.inputs)
    lines += parts.lengths((*dims_of(program.forward), *over, *fields), program.inputs)
    lines += _nonempty(parts, over)
    lines += parts.code(program.forward)
    kept = [parts.like(program.inputs) + ".dtype" if name == "dtype" else name for name in _fields(parts, fields)]
    return [*lines, f"return {packed([parts.names[n] for n in program.outputs])}, Saved({', '.join(kept)})"]


def _backward(parts: Parts, fields: tuple[str, ...]) -> list[str]:
    program = parts.program
    lines = [f"{unpacked(list(_fields(parts, fields)))} = saved"]
    dims = [*(dim for name in program.upstream for dim in parts.array(name).dims), *dims_of(program.backward)]
    lines += parts.lengths(dims, program.saved, fields)
    real = [n for n in program.saved if parts.array(n).kind != "int"]
    dtype = f"{parts.names[real[0]]}.dtype" if real else "dtype"
    for name in program.upstream:
        shape = tuple_of([parts.sizes[dim] for dim in parts.array(name).dims])
        lines.append(f'{parts.names[name]} = _upstream("{parts.names[name]}", {parts.names[name]}, {shape}, {dtype})')
    lines += parts.code(program.backward)
    return used([*lines, f"return {', '.join(parts.names[n] for n in program.gradients)}"])


def _jvp(parts: Parts) -> list[str]:
    program = parts.program
    over = parts.maximum_axes(program.tangent)
    names = (*program.inputs, *_tangents(program))
    lines = _arguments(parts, names)
    lines += parts.lengths((*dims_of(program.tangent), *over), names)
    lines += _nonempty(parts, over)
    lines += parts.code(program.tangent)
    count = len(program.outputs)
    outputs = [parts.names[n] for n in program.tangent.outputs]
    return [*lines, f"return {packed(outputs[:count])}, {packed(outputs[count:])}"]
