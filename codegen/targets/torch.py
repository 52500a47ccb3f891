"""The torch target: a Program -> the finished lines of `templates/torch.py.jinja`.

Two autograd Functions carry the first and the second order: the backward pass of `_Forward` calls `_Backward`, and the backward
pass of `_Backward` calls `_Second`, which says clearly that it cannot be differentiated again. Whatever a backward pass holds
goes through as an argument, so that every Function is a pure function of tensors (as torch.func asks).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from codegen.passes.bits import exponentials_of_two
from codegen.passes.dead import pruned
from codegen.program import Block, Loop, Program
from codegen.support import torch_support
from codegen.targets.fused import fused
from codegen.targets.looped import Looped
from codegen.targets.naming import identifier
from codegen.targets.parts import Parts, constants, digest, dims_of, docstring, imports, indented, packed, saved_for, unpacked, used
from codegen.targets.spellings import TORCH, TORCH_IN_PLACE
from codegen.targets.support import functions_called
from codegen.targets.text import tuple_of
from codegen.targets.validation import validation


@dataclass(frozen=True)
class Calls:
    """How the passes are called: what is written before the arguments."""

    forward: str = "_chosen(_Forward, _DualForward, _ReverseForward)"
    backward: str = "_chosen(_Backward, _DualBackward, _DualBackward)"
    second: str = "_Second.apply"


def context(derivation: Any, program: Program, calls: Calls = Calls()) -> dict[str, Any]:
    """Every field of the template, as lists of lines."""
    reserved = (program.name, "fill", "like", "validate", *(f"need_{identifier(n)}" for n in program.wrt))
    program = fused(program, tuple(TORCH.fused))
    parts = Parts(derivation, program, TORCH, reserved)
    held = _Held(parts)
    loops = _loops(parts)
    functions = [line for loop in loops.values() for line in loop.function("Tensor", "Any")]
    why = saved_for(parts, program.backward.ops)
    fields: dict[str, list[str]] = {
        "public": _public(parts, calls.forward),
        "forward": _forward(parts, held, loops),
        "forward_setup": held.forward_setup(),
        "forward_backward": _forward_backward(parts, held, calls.backward),
        "forward_jvp": _forward_jvp(parts, held),
        "backward": _backward(parts, held, loops),
        "backward_setup": held.backward_setup(),
        "backward_backward": _backward_backward(parts, held, calls.second),
        "backward_jvp": _backward_jvp(parts, held),
        "second": _straight(parts, program.second, held),
        "second_tangent": _straight(parts, program.second_tangent, held),
    }
    fields["functions"] = functions
    facts = validation(parts, "Tensor")
    lines = [*(line for lines in fields.values() for line in lines), *facts.lines]
    support = [*facts.lines, *functions_called(torch_support, [*lines, "_no_third"])]
    code = "\n".join([*(line for lines in fields.values() for line in lines), *support])
    names = parts.names
    parameters = ", ".join(
        ["fill: bool"] * bool(held.extra)
        + [f"{names[n]}: {'int' if parts.array(n).is_plain_integer else 'Tensor'}" for n in program.inputs]
    )
    second = program.second
    second_tangent = program.second_tangent
    assert second is not None and second_tangent is not None
    lengths = [f"{parts.sizes[d]}: int" for d in held.lengths]
    several = len(program.outputs) > 1
    return {
        **fields,
        "facts": facts.lines,
        "digest": digest(derivation.layer),
        "doc": docstring(parts, f"{program.name}: a differentiable function for torch.", why),
        "imports": imports(code),
        "constants": constants(code),
        "name": program.name,
        "axes": parts.axes_table([n for n in program.inputs if not parts.array(n).is_plain_integer]),
        "parameters": ", ".join(f"{names[n]}: {'int' if parts.array(n).is_plain_integer else 'Any'}" for n in program.inputs)
        + facts.parameter(),
        "returns": f"tuple[{', '.join(['Tensor'] * len(program.outputs))}]" if several else "Tensor",
        "public_doc": f"Return {packed([names[n] for n in program.outputs])}, differentiable twice, in reverse and in forward mode."
        + facts.sentence(),
        "forward_parameters": parameters,
        "upstream": ", ".join(f"{names[n]}: Any" for n in program.upstream),
        "tangents": ", ".join(f"{t}: Any" for t in _tangent_names(parts, held)),
        "made": len(program.outputs) + len(held.extra),
        "backward_parameters": ", ".join(
            [*(f"{flag}: bool" for flag in held.flags), *lengths, *(f"{names[n]}: Tensor" for n in held.backward_arguments)]
        ),
        "second_parameters": ", ".join([*lengths, *(f"{names[n]}: Tensor" for n in second.inputs)]),
        "second_tangent_parameters": ", ".join([*lengths, *(f"{names[n]}: Tensor" for n in second_tangent.inputs)]),
        "support": support,
    }


def plain_support(lines: list[str]) -> list[str]:
    """The support functions that plain statements call."""
    return functions_called(torch_support, lines)


class _Held:
    """What is saved for backward passes, in the order in which `_Backward` takes it."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        program = parts.program
        self.kept = program.kept
        self.backward_arguments = (*program.kept, *program.upstream)
        blocks = [b for b in (program.backward, program.second, program.second_tangent) if b is not None]
        wanted = [dim for block in blocks for dim in dims_of(block)]
        wanted += dims_of(program.recompute) if program.recompute is not None else ()
        wanted += _mentioned(_loops(parts).get("backward"))
        wanted += [dim for name in self._filled() for dim in parts.array(name).dims]
        wanted += [dim for name in program.wrt if name not in self.kept for dim in parts.array(name).dims]
        wanted += dims_of(tangent_block(program))
        gone = parts.missing(wanted, self.kept)
        # The two blocks of the second order read no more than they need: a length may be found in none of it.
        gone += tuple(dim for block in blocks[1:] for dim in parts.missing(dims_of(block), block.inputs))
        self.lengths = tuple(dict.fromkeys(gone))

    def _filled(self) -> tuple[str, ...]:
        """Second-order upstream gradients, which are zero where torch gives none."""
        second = self.parts.program.second
        return tuple(n for n in self.second_upstream if second is not None and n in second.inputs)

    @property
    def second_upstream(self) -> tuple[str, ...]:
        return tuple(f"d2{gradient}" for gradient in self.parts.program.gradients)

    @property
    def extra(self) -> tuple[str, ...]:
        """Forward values that are saved and are not outputs: `_Forward` returns them beside the outputs."""
        program = self.parts.program
        return tuple(n for n in program.kept if n not in (*program.inputs, *program.outputs))

    @property
    def flags(self) -> list[str]:
        """Whether the gradient of each differentiable argument is asked for: plain arguments, as torch.func asks."""
        return [f"need_{self.parts.names[n]}" for n in self.parts.program.wrt]

    def sizes(self) -> list[str]:
        return [self.parts.sizes[d] for d in self.lengths]

    def forward_setup(self) -> list[str]:
        program, names = self.parts.program, self.parts.names
        lines = []
        if self.extra:
            sure = [names[n] for n in self.extra if n not in program.dropped]
            gone = [names[n] for n in program.dropped]
            marked = [*sure, *([f"*(t for t in {tuple_of(gone)} if t is not None)"] if gone else [])]
            lines.append(f"ctx.mark_non_differentiable({', '.join(marked)})")
            # Zeros for values that have no gradient would cost as much memory again; torch.func cannot do without them.
            lines.append("ctx.set_materialize_grads(fill)")
        # Both save the same: torch.func takes the batch axes of one list for those of the other.
        lines += [f"ctx.save_for_{way}({', '.join(names[n] for n in self.kept)})" for way in ("backward", "forward")]
        if self.lengths:
            lines += self.parts.lengths(self.lengths, program.inputs)
            lines.append(f"ctx.lengths = {tuple_of(self.sizes())}")
        given = ["fill"] * bool(self.extra) + [names[n] for n in program.inputs]
        made = [names[n] for n in (*program.outputs, *self.extra)]
        return [*_taken(given, "inputs", lines), *_taken(made, "output", lines, len(made) > 1), *lines]

    def backward_setup(self) -> list[str]:
        lines = [f"{', '.join([*self.flags, *self.sizes()])}, *tensors = inputs"]
        lines.append(f"ctx.needs = {tuple_of(self.flags)}")
        lines.append("ctx.save_for_backward(*tensors)")
        lines.append("ctx.save_for_forward(*tensors)")
        if self.lengths:
            lines.append(f"ctx.lengths = {tuple_of(self.sizes())}")
        return lines

    def opened(self, names: tuple[str, ...], lines: list[str], anew: Iterable[str] = ()) -> list[str]:
        """`lines`, after those that fetch what was saved; a name that they do not use, or make anew, gets an underscore."""
        saved = _taken([self.parts.names[n] for n in names], "ctx.saved_tensors", lines, anew=anew)
        return [*saved, *_taken(self.sizes(), "ctx.lengths", lines), *lines]


def _taken(names: list[str], source: str, lines: Iterable[str], several: bool = True, anew: Iterable[str] = ()) -> list[str]:
    """The line that takes a tuple apart, if `lines` use any of it; a name that they do not use, or make anew, gets an underscore."""
    code = [line for line in lines if not line.lstrip().startswith("#")]
    text = "\n".join(code)
    used = [name for name in names if re.search(rf"\b{name}\b", text) and not (name in anew and _made_first(name, code))]
    if not used:
        return []
    marked = [name if name in used else f"_{name}" for name in names]
    return [f"{unpacked(marked) if several else marked[0]} = {source}"]


def _made_first(name: str, lines: list[str]) -> bool:
    """Whether the first of the lines that mentions a name is the one that assigns it."""
    first = next(line for line in lines if re.search(rf"\b{name}\b", line))
    return re.match(rf"\s*{name} = (?!.*\b{name}\b)", first) is not None


def _public(parts: Parts, function: str) -> list[str]:
    program, names = parts.program, parts.names
    real = [names[n] for n in program.inputs if parts.array(n).kind != "int"]
    lines = [f"{unpacked(real)} = _real({', '.join(f'{n}={n}' for n in real)})"]
    labels = parts.label_axes(program.inputs)
    lines += [f'{names[n]} = _labels("{names[n]}", {names[n]}, "{axis}")' for n, axis in labels.items()]
    plain = parts.integers(program.inputs)
    lines += [f'{names[n]} = _integer("{names[n]}", {names[n]}, {least})' for n, least in plain.items()]
    lines.append(f"_check({', '.join(f'{names[n]}={names[n]}' for n in program.inputs if n not in plain)})")
    for name, axis in labels.items():
        holder = parts.holder(axis, program.inputs)
        if holder is not None:
            at = parts.array(holder).dims.index(axis)
            lines.append(f'_places("{names[name]}", {names[name]}, "{axis}", {names[holder]}.shape[{at}])')
    lines += validation(parts, "Tensor").call("{}.detach()")
    constant = [names[n] for n in program.inputs if n not in program.wrt and n not in labels and n not in plain]
    if constant:
        lines.append(f"_constant({', '.join(f'{n}={n}' for n in constant)})")
    over = parts.maximum_axes(program.forward)
    lines += parts.lengths(over, program.inputs)
    if over:
        lines.append(f"_nonempty({', '.join(f'{parts.sizes[d]}={parts.sizes[d]}' for d in over)})")
    given = [names[n] for n in program.inputs]
    if len(program.forward.outputs) == len(program.outputs):
        return [*lines, f"return {function}({', '.join(given)})"]
    call = f"{function}(bool(_transforms()), {', '.join(given)})"
    if len(program.outputs) == 1:
        return [*lines, f"return {call}[0]"]
    return [*lines, f"return {call}[:{len(program.outputs)}]"]


_MADE = ("_empty({0}, {1})", "_zeros({0}, {1})")


def _loops(parts: Parts) -> dict[str, Looped]:
    """The program's loops, by the pass that they run. Gradients are never made in the forward pass: it may be called for itself."""
    loops = [(name, loop) for name, loop in exponentials_of_two(parts.program).loops if name != "both"]
    gone = {"forward": parts.program.dropped}
    together = "_together({0}, {1}, {2}, {3})"
    return {
        name: Looped(
            parts,
            _without(loop, gone.get(name, ())),
            f"_{name}_part",
            TORCH_IN_PLACE,
            missing=gone.get(name, ()),
            together=together,
        )
        for name, loop in loops
    }


def _without(loop: Loop, missing: tuple[str, ...]) -> Loop:
    """The loop without results that only the whole keeps: the function for a part is not called for the whole."""
    results = tuple(part for part in loop.results if part.name not in missing)
    return replace(loop, results=results, body=pruned(replace(loop.body, outputs=tuple(part.name for part in results))))


def _in_parts(parts: Parts, loop: Looped, like: str) -> list[str]:
    """What runs where the whole would be too large: before the loop, the loop, and after it."""
    in_place = replace(parts, spelling=TORCH_IN_PLACE)
    return [*parts.code(loop.loop.before), *loop.each(like, *_MADE), *in_place.code(loop.loop.after)]


def _mentioned(loop: Looped | None) -> list[str]:
    return [*loop.dims(), *dims_of(loop.loop.before), *dims_of(loop.loop.after)] if loop is not None else []


def _anew(parts: Parts, block: Block | None = None) -> list[str]:
    """Lines that make dropped arrays anew, if the block reads any of them."""
    recompute = parts.program.recompute
    if recompute is None or (block is not None and not set(block.inputs) & set(recompute.outputs)):
        return []
    return [f"if {parts.names[recompute.outputs[0]]} is None:", *indented(parts.code(recompute))]


def _anew_dims(parts: Parts, block: Block | None = None) -> tuple[str, ...]:
    return dims_of(parts.program.recompute) if parts.program.recompute is not None and _anew(parts, block) else ()


def _forward(parts: Parts, held: _Held, loops: dict[str, Looped]) -> list[str]:
    program, names = parts.program, parts.names
    loop = loops.get("forward")
    lines = parts.lengths((*dims_of(program.forward), *_mentioned(loop)), program.inputs)
    code = parts.code(program.forward)
    if loop is not None:
        like = parts.like(program.inputs)
        given = [names[n] for n in program.inputs if parts.array(n).kind != "int" and parts.array(n).dims] if program.dropped else [like]
        check = "_saved_whole" if program.dropped else "_whole"
        each = _in_parts(parts, loop, like)
        code = [f"if {check}({loop.entries()}, {', '.join(given)}):", *indented(code), "else:", *indented(each)]
    outputs = [names[n] for n in (*program.outputs, *held.extra)]
    return used([*lines, *code, f"return {', '.join(outputs)}"])


def _forward_backward(parts: Parts, held: _Held, function: str) -> list[str]:
    program = parts.program
    flags = dict(zip(program.wrt, held.flags))
    arguments = [*held.flags, *held.sizes(), *(parts.names[n] for n in held.backward_arguments)]
    call = f"{function}({', '.join(arguments)})"
    lines = [f"{unpacked(['_'] * bool(held.extra) + [flags.get(n, '_') for n in program.inputs])} = ctx.needs_input_grad"]
    gradients = [parts.names[n] for n in program.gradients]
    lines.append(f"{unpacked(gradients)} = _spread({tuple_of(held.flags)}, {call})")
    where = dict(zip(program.wrt, gradients))
    returned = ["None"] * bool(held.extra) + [where.get(n, "None") for n in program.inputs]
    missing = _filled(parts, program.upstream, held.kept, held.lengths) if held.extra else []
    return held.opened(held.kept, [*missing, *lines, f"return {', '.join(returned)}"])


def _filled(parts: Parts, upstream: tuple[str, ...], holders: tuple[str, ...], known: tuple[str, ...], like: str = "") -> list[str]:
    """Zeros in place of upstream gradients or tangents that torch left out."""
    like = like or parts.like(holders)
    lines = parts.lengths([dim for n in upstream for dim in parts.array(n).dims], holders, known)
    for name in upstream:
        shape = tuple_of([parts.sizes[dim] for dim in parts.array(name).dims])
        lines.append(f"if {parts.names[name]} is None:")
        lines.append(f"    {parts.names[name]} = {like}.new_zeros({shape})")
    return lines


def _tangent_names(parts: Parts, held: _Held) -> list[str]:
    """The parameters of `jvp`: a tangent for each argument of `forward`, those that are never there under a name of their own."""
    program = parts.program
    found = ["_fill"] * bool(held.extra)
    return found + [parts.names[f"t{n}"] if n in program.wrt else f"_{parts.names[n]}" for n in program.inputs]


def tangent_block(program: Program) -> Block:
    """The block of forward mode without the outputs themselves. It recomputes every forward value from the inputs, because a
    saved one does not carry the derivative by which torch differentiates forward mode."""
    block = program.tangent
    return pruned(Block(block.inputs, block.ops, tuple(n for n in block.outputs if n not in program.outputs)))


def _forward_jvp(parts: Parts, held: _Held) -> list[str]:
    program, names = parts.program, parts.names
    block = tangent_block(program)
    moving = tuple(f"t{n}" for n in program.wrt)
    block = replace(block, inputs=(*(n for n in held.kept if n in program.inputs), *moving))
    lines = []
    if len(program.wrt) > 1:
        lines += [f"{names[f't{n}']} = _zero({names[f't{n}']}, {names[n]})" for n in program.wrt if n in held.kept]
        gone = tuple(f"t{n}" for n in program.wrt if n not in held.kept)
        like = parts.like(held.kept)
        if gone and like == "None":
            # Nothing is held, but some tangent is always there.
            lines.append(f"like = next(tangent for tangent in {tuple_of([names[t] for t in moving])} if tangent is not None)")
            like = "like"
        lines += _filled(parts, gone, held.kept, held.lengths, like)
    lines += parts.lengths(dims_of(block), held.kept, held.lengths)
    lines += parts.code(block)
    lines.append(f"return {', '.join([*(names[n] for n in block.outputs), *(['None'] * len(held.extra))])}")
    return held.opened(held.kept, lines, [names[op.out] for op in block.ops if op.out in names])


def _backward(parts: Parts, held: _Held, loops: dict[str, Looped]) -> list[str]:
    """The statements, each under the condition that a gradient which needs it is asked for."""
    program, names = parts.program, parts.names
    loop = loops.get("backward")
    gradients = [names[n] for n in program.gradients]
    dims = (*dims_of(program.backward), *_anew_dims(parts), *_mentioned(loop))
    lines = parts.lengths(dims, held.kept, held.lengths)
    if loop is not None:
        like = parts.like((*held.kept, *program.upstream))
        upstream = ", ".join(names[n] for n in program.upstream)
        gone = f"not _whole({loop.entries()}, {upstream})"
        if program.dropped:
            gone = f"{names[program.dropped[0]]} is None and not _traced({upstream})"
        needs = f"return _needed({tuple_of(held.flags)}, {tuple_of(gradients)})" if len(gradients) > 1 else f"return ({gradients[0]},)"
        lines += [f"if {gone}:", *indented([*_in_parts(parts, loop, like), needs])]
    lines += _anew(parts)
    if len(gradients) == 1:
        lines += parts.code(program.backward)
        return used([*lines, f"return ({gradients[0]},)"])
    flags = dict(zip(program.gradients, held.flags))
    lines.append(f"{' = '.join(gradients)} = None")

    def condition(demanded_by: tuple[str, ...]) -> str | None:
        return None if len(demanded_by) == len(flags) else " or ".join(flags[g] for g in demanded_by)

    lines += parts.code(program.backward, condition)
    return used([*lines, f"return _needed({tuple_of(held.flags)}, {tuple_of(gradients)})"])


def _backward_backward(parts: Parts, held: _Held, function: str) -> list[str]:
    program, names = parts.program, parts.names
    second = program.second
    assert second is not None
    lines = []
    given = [names[n] for n in held.second_upstream]
    filled = [n for n in held.second_upstream if n in second.inputs]
    marked = [name if n in filled else f"_{name}" for n, name in zip(held.second_upstream, given)]
    lines.append(f"{unpacked(marked)} = _spread(ctx.needs, grads)")
    lines += _filled(parts, tuple(filled), held.backward_arguments, held.lengths)
    where = dict(program.second_gradients)
    results = [names[g] for _, g in program.second_gradients]
    if results:
        arguments = [*held.sizes(), *(names[n] for n in second.inputs)]
        lines.append(f"{unpacked(results)} = {function}({', '.join(arguments)})")
    returned = ["None"] * (len(held.flags) + len(held.lengths)) + [
        names[where[n]] if n in where else "None" for n in held.backward_arguments
    ]
    return held.opened(held.backward_arguments, [*lines, f"return {', '.join(returned)}"])


def _backward_jvp(parts: Parts, held: _Held) -> list[str]:
    program, names = parts.program, parts.names
    block = program.second_tangent
    assert block is not None
    moving = {n: names[f"t{n}"] for n in held.backward_arguments if n in (*program.wrt, *program.upstream) and f"t{n}" in block.inputs}
    lines = []
    skipped = len(held.flags) + len(held.lengths)
    lines += [f"{t} = _zero(tangents[{skipped + k}], {names[n]})" for k, n in enumerate(held.backward_arguments) if (t := moving.get(n))]
    # A tangent of an input that the backward pass does not hold moves nothing.
    gone = [n for n in block.inputs if n not in held.backward_arguments and n not in {f"t{m}" for m in moving}]
    assert not gone, gone
    results = [names[n] for n in block.outputs]
    arguments = [*held.sizes(), *(names[n] for n in block.inputs)]
    lines.append(f"{unpacked(results)} = _SecondTangent.apply({', '.join(arguments)})")
    return held.opened(held.backward_arguments, [*lines, f"return _needed(ctx.needs, {tuple_of(results)})"])


def _straight(parts: Parts, block: Block | None, held: _Held) -> list[str]:
    """A block as the body of a Function: all of its outputs, in a tuple."""
    assert block is not None
    lines = parts.lengths((*dims_of(block), *_anew_dims(parts, block)), block.inputs, held.lengths)
    lines += [*_anew(parts, block), *parts.code(block)]
    return [*used(lines), f"return {tuple_of([parts.names[n] for n in block.outputs])}" if block.outputs else "return ()"]
