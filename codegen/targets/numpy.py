"""The NumPy target: a Program -> the finished lines of `templates/numpy.py.jinja`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from codegen.passes.layout import laid
from codegen.program import Program
from codegen.support import numpy_support
from codegen.targets.looped import Looped
from codegen.targets.parts import Parts, constants, digest, dims_of, docstring, imports, indented, packed, saved_for, unpacked, used
from codegen.targets.spellings import NUMPY, NUMPY_PARTS
from codegen.targets.support import functions_called
from codegen.targets.text import tuple_of
from codegen.targets.validation import validation


def context(derivation: Any, program: Program) -> dict[str, Any]:
    """Every field of the template, as lists of lines."""
    # Nothing says here whether a gradient is wanted: it is made early only where that saves memory.
    program = replace(program, loops=tuple(loop for loop in program.loops if loop[0] != "both" or program.dropped))
    program = laid(program)
    parts = Parts(derivation, program, NUMPY, ("dtype", "validate"))
    fields = _saved_lengths(parts)
    why = saved_for(parts, program.backward.ops)
    loops = _loops(parts)
    forward, backward, jvp = _forward(parts, fields, loops), _backward(parts, fields, loops), _jvp(parts)
    functions = [line for loop in loops.values() for line in loop.function("Any", "Any")]
    facts = validation(parts, "Array")
    body = [*forward, *backward, *jvp, *functions, *facts.lines]
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
        "imports": imports(code),
        "constants": constants(code),
        "name": program.name,
        "axes": parts.axes_table((*_arrays(parts, program.inputs), *program.upstream, *_tangents(program))),
        "fields": [f"{name}: {kind}" for name, kind in _fields(parts, fields).items()],
        "forward_parameters": _annotated(parts, program.inputs) + facts.parameter(),
        "forward_returns": f"tuple[{_returned(len(program.outputs))}, Saved]",
        "forward_doc": f"Return ({values}, saved)." + facts.sentence(),
        "forward": forward,
        "backward_parameters": _annotated(parts, program.upstream),
        "backward_returns": _returned(len(program.gradients)),
        "backward_doc": f"Return {gradients}, the gradient{several} with upstream {upstream}.",
        "backward": backward,
        "jvp_parameters": _annotated(parts, (*program.inputs, *_tangents(program))),
        "jvp_returns": f"tuple[{_returned(len(program.outputs))}, {_returned(len(program.outputs))}]",
        "jvp_doc": f"Return ({values}, {value_tangents}): the value and its derivative along {tangents}.",
        "jvp": jvp,
        "functions": functions,
        "support": [*facts.lines, *support],
    }


def _tangents(program: Program) -> tuple[str, ...]:
    return tuple(f"t{name}" for name in program.wrt)


def _annotated(parts: Parts, names: tuple[str, ...]) -> str:
    plain = parts.integers(n for n in names if n in parts.program.inputs)
    return ", ".join(f"{parts.names[n]}: {'int' if n in plain else 'Any'}" for n in names)


def _arrays(parts: Parts, names: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments that are arrays."""
    return tuple(n for n in names if n not in parts.integers(m for m in names if m in parts.program.inputs))


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
    found = {parts.names[name]: "Array | None" if name in program.dropped else "Array" for name in program.saved}
    if program.loop("both") is not None:
        found = {name: kind if name in {parts.names[n] for n in program.inputs} else "Array | None" for name, kind in found.items()}
        found.update({parts.names[name]: "Array | None" for name in program.gradients})
    found.update({parts.sizes[dim]: "int" for dim in lengths})
    if all(parts.array(name).kind == "int" for name in program.saved):
        found["dtype"] = "Any"
    return found


def _arguments(parts: Parts, names: tuple[str, ...], often: bool) -> list[str]:
    """Lines that turn the arguments into arrays and check them; where that is done `often`, one look at all of them is enough if
    nothing is wrong."""
    real = [parts.names[n] for n in names if parts.array(n).kind != "int"]
    unless = [f"{' is '.join(f'type({n})' for n in real)} is np.ndarray", f'{real[0]}.dtype.kind == "f"', f"{real[0]}.dtype.isnative"]
    unless += [" == ".join(f"{n}.dtype" for n in real)] if len(real) > 1 else []
    lines = [f"{unpacked(real)} = _real({', '.join(f'{n}={n}' for n in real)})"]
    lines = [f"if not ({' and '.join(unless)}):", *indented(lines)] if often else lines
    labels = parts.label_axes(names)
    lines += [f"{parts.names[n]} = np.asarray({parts.names[n]})" for n in labels]
    plain = parts.integers(n for n in names if n in parts.program.inputs)
    lines += [f'{parts.names[n]} = _integer("{parts.names[n]}", {parts.names[n]}, {least})' for n, least in plain.items()]
    lines += parts.checked([n for n in names if n not in plain], often)
    for name, axis in labels.items():
        holder = parts.holder(axis, names)
        if holder is not None:
            label, at = parts.names[name], parts.array(holder).dims.index(axis)
            lines.append(f'{label} = _labels("{label}", {label}, "{axis}", {parts.names[holder]}.shape[{at}])')
    return lines


def _loops(parts: Parts) -> dict[str, Looped]:
    """The program's loops, by the pass that they run."""
    gone = parts.program.dropped
    return {
        name: Looped(
            parts,
            loop,
            f"_{name}_part" if name != "both" else "_both_parts",
            NUMPY_PARTS,
            gone if name == "backward" else (),
            gone if name != "backward" else (),
            together="_together({0}, {1}, {2})",
        )
        for name, loop in parts.program.loops
        if name == "both" or parts.program.loop("both") is None
    }


def _forward(parts: Parts, fields: tuple[str, ...], loops: dict[str, Looped]) -> list[str]:
    program, names = parts.program, parts.names
    loop = loops.get("forward") or loops.get("both")
    over = parts.maximum_axes(program.forward)
    lines = _arguments(parts, program.inputs, True) + validation(parts, "Array").call()
    mentioned = [*loop.dims(), *dims_of(loop.loop.before), *dims_of(loop.loop.after)] if loop is not None else []
    lines += parts.lengths((*dims_of(program.forward), *mentioned, *over, *fields), program.inputs)
    lines += parts.nonempty(over)
    if loop is None:
        lines += parts.code(program.forward)
    else:
        real = [names[n] for n in program.inputs if parts.array(n).kind != "int" and parts.array(n).dims]
        check = "_saved_whole" if program.dropped else "_whole"
        given = real if program.dropped else [parts.like(program.inputs)]
        condition = f"if {check}({loop.entries()}, {', '.join(given)}):"
        each = loop.each(parts.like(program.inputs), *_MADE)
        if "both" in loops:
            gone = [f"{' = '.join(names[n] for n in program.gradients)} = None"]
            missing = [n for n in _fields(parts, fields) if n not in {names[m] for m in program.inputs}]
            made = {names[op.out] for op in (*loop.loop.before.ops, *loop.loop.after.ops) if op.out in names} | {
                names[p.name] for p in loop.loop.results
            }
            nothing = [n for n in missing if n not in made and n not in {names[d] for d in program.dropped}]
            apart = [
                *([f"{' = '.join(nothing)} = None"] if nothing else []),
                *parts.code(loop.loop.before),
                *each,
                *parts.code(loop.loop.after),
            ]
            lines += [condition, *indented([*parts.code(program.forward), *gone]), "else:", *indented(apart)]
        else:
            lines += parts.code(loop.loop.before)
            lines += [condition, *indented(loop.whole()), "else:", *indented(each), *parts.code(loop.loop.after)]
    kept = [parts.like(program.inputs) + ".dtype" if name == "dtype" else name for name in _fields(parts, fields)]
    return used([*lines, f"return {packed([names[n] for n in program.outputs])}, Saved({', '.join(kept)})"])


_MADE = ("np.empty({0}, {1}.dtype)", "np.zeros({0}, {1}.dtype)")


def _backward(parts: Parts, fields: tuple[str, ...], loops: dict[str, Looped]) -> list[str]:
    program, names = parts.program, parts.names
    loop = loops.get("backward")
    lines: list[str] = []
    mentioned = [*loop.dims(), *dims_of(loop.loop.before), *dims_of(loop.loop.after)] if loop is not None else []
    dims = [*(dim for name in program.upstream for dim in parts.array(name).dims), *dims_of(program.backward), *mentioned]
    held = [n for n in program.saved if n not in program.dropped]
    lines += parts.lengths(dims, held, fields)
    real = [n for n in held if parts.array(n).kind != "int"]
    dtype = f"{names[real[0]]}.dtype" if real else "dtype"
    for name in program.upstream:
        shape = tuple_of([parts.sizes[dim] for dim in parts.array(name).dims])
        lines.append(f'{names[name]} = _upstream("{names[name]}", {names[name]}, {shape}, {dtype})')
    if "both" in loops:
        scaled = ", ".join(f"{names[program.upstream[0]]} * {names[n]}" for n in program.gradients)
        lines += [f"if {names[program.dropped[0]]} is None:", f"    return {scaled}"]
    if loop is None:
        lines += parts.code(program.backward)
    else:
        like = parts.like((*held, *program.upstream))
        condition = f"{names[program.dropped[0]]} is not None" if program.dropped else f"_whole({loop.entries()}, {like})"
        each = loop.each(like, *_MADE)
        lines += parts.code(loop.loop.before)
        lines += [f"if {condition}:", *indented(loop.whole()), "else:", *indented(each), *parts.code(loop.loop.after)]
    lines = used([*lines, f"return {', '.join(names[n] for n in program.gradients)}"])
    code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    mentioned = [name if re.search(rf"\b{name}\b", code) else f"_{name}" for name in _fields(parts, fields)]
    return [f"{unpacked(mentioned)} = saved", *lines]


def _jvp(parts: Parts) -> list[str]:
    program = parts.program
    over = parts.maximum_axes(program.tangent)
    names = (*program.inputs, *_tangents(program))
    lines = _arguments(parts, names, False)
    lines += parts.lengths((*dims_of(program.tangent), *over), names)
    lines += parts.nonempty(over)
    lines += parts.code(program.tangent)
    count = len(program.outputs)
    outputs = [parts.names[n] for n in program.tangent.outputs]
    return [*lines, f"return {packed(outputs[:count])}, {packed(outputs[count:])}"]
