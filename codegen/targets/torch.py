"""The torch target: a Program -> the finished lines of `templates/torch.py.jinja`.

Two autograd Functions carry the first and the second order: the backward pass of `_Forward` calls `_Backward`, and the backward
pass of `_Backward` calls `_Second`, which says clearly that it cannot be differentiated again. Whatever a backward pass holds
goes through as an argument, so that every Function is a pure function of tensors (as torch.func asks). The statements themselves
stand once, in `_forward_pass` and `_backward_pass`, which the pair without autograd calls as well (`targets/pair.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from codegen.passes.bits import exponentials_of_two
from codegen.passes.dead import pruned
from codegen.program import Block, Loop, Program
from codegen.support import torch_support
from codegen.targets.fused import fused, fused_block
from codegen.targets.held import Held, anew, anew_dims, mentioned, tangent_block
from codegen.targets.looped import Looped
from codegen.targets.naming import identifier
from codegen.targets.pair import pair
from codegen.targets.parts import Parts, constants, digest, dims_of, docstring, imports, indented, packed, saved_for, unpacked, used
from codegen.targets.spellings import TORCH, TORCH_IN_PLACE, TORCH_PRODUCTS, with_plain_products
from codegen.targets.support import functions_called
from codegen.targets.text import Spelling, tuple_of
from codegen.targets.validation import validation


@dataclass(frozen=True)
class Calls:
    """How the passes are called: what is written before the arguments."""

    forward: str = "_chosen(_Forward, _DualForward, _ReverseForward)"
    backward: str = "_chosen(_Backward, _DualBackward, _DualBackward)"
    second: str = "_Second.apply"
    plain: str = "_backward_pass"
    """The backward pass where nothing is recorded, or "" if it is always called the same."""


def context(derivation: Any, program: Program, calls: Calls = Calls()) -> dict[str, Any]:
    """Every field of the template, as lists of lines."""
    reserved = (program.name, "fill", "like", "validate", *(f"need_{identifier(n)}" for n in program.wrt))
    program = fused(program, tuple(TORCH.fused))
    parts = Parts(derivation, program, TORCH, reserved)
    loops = _loops(parts)
    held = Held(parts, loops.get("backward"))
    early_pass = _early_pass(parts, held, loops)
    functions = [line for loop in loops.values() for line in loop.function("Tensor", "Any")]
    why = saved_for(parts, program.backward.ops)
    fields: dict[str, list[str]] = {
        "arguments": _arguments(parts),
        "public": _public(parts, calls.forward),
        "forward_pass": _forward(parts, held, loops),
        "forward_setup": held.forward_setup(),
        "early_pass": early_pass,
        "reverse_forward": held.reverse_forward(_unless_whole(parts, loops) if early_pass else []),
        "reverse_backward": held.reverse_backward() if early_pass else [],
        "forward_backward": _forward_backward(parts, held, calls, bool(early_pass)),
        "forward_jvp": _forward_jvp(parts, held),
        "backward_pass": _backward(parts, held, loops),
        "backward": _needed_alone(parts, held),
        "backward_setup": held.backward_setup(),
        "backward_backward": _backward_backward(parts, held, calls.second),
        "backward_jvp": _backward_jvp(parts, held),
        "second": _straight(parts, program.second, held),
        "second_tangent": _straight(parts, program.second_tangent, held),
        **pair(parts, held),
    }
    fields["functions"] = functions
    facts = validation(parts, "Tensor")
    lines = [*(line for lines in fields.values() for line in lines), *facts.lines]
    support = [*facts.lines, *functions_called(torch_support, [*lines, "_no_third"])]
    code = "\n".join([*(line for lines in fields.values() for line in lines), *support])
    names = parts.names
    own_parameters = [f"{names[n]}: {'int' if parts.array(n).is_plain_integer else 'Tensor'}" for n in program.inputs]
    parameters = ", ".join(["fill: bool"] * bool(held.extra) + own_parameters)
    second = program.second
    second_tangent = program.second_tangent
    assert second is not None and second_tangent is not None
    lengths = [f"{parts.sizes[d]}: int" for d in held.lengths]
    returned = f"tuple[{', '.join(['Tensor'] * len(program.outputs))}]" if len(program.outputs) > 1 else "Tensor"
    gradients, upstream = (packed([names[n] for n in some]) for some in (program.gradients, program.upstream))
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
        "returns": returned,
        "public_doc": f"Return {packed([names[n] for n in program.outputs])}, differentiable twice, in reverse and in forward mode."
        + facts.sentence(),
        "forward_parameters": parameters,
        "forward": _forward_alone(parts, held),
        "own_forward_parameters": ", ".join(own_parameters),
        "reverse_parameters": ", ".join(["_fill: bool"] * bool(held.extra) + own_parameters),
        "argument_parameters": ", ".join(f"{names[n]}: Any" for n in program.inputs) + facts.parameter().replace("*, ", ""),
        "pair_returns": f"tuple[{returned}, Saved]",
        "gradient_returns": f"tuple[{', '.join(['Tensor'] * len(program.gradients))}]" if len(program.gradients) > 1 else "Tensor",
        "pair_forward_doc": f"Return ({packed([names[n] for n in program.outputs])}, saved), without autograd." + facts.sentence(),
        "pair_backward_doc": f"Return {gradients}, the gradient{'s' * (len(program.gradients) > 1)} with upstream {upstream}.",
        "backward_pass_doc": f"{gradients}{': None for those that are not needed' * (len(program.gradients) > 1)}.",
        "own_forward_arguments": ", ".join(names[n] for n in program.inputs),
        "own_backward_parameters": ", ".join(held.own_parameters()),
        "upstream": ", ".join(f"{names[n]}: Any" for n in program.upstream),
        "tangents": ", ".join(f"{t}: Any" for t in _tangent_names(parts, held)),
        "made": len(program.outputs) + len(held.more),
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


def _arguments(parts: Parts) -> list[str]:
    """The checks of the arguments."""
    program, names = parts.program, parts.names
    real = [names[n] for n in program.inputs if parts.array(n).kind != "int"]
    types = [*(f"isinstance({name}, Tensor)" for name in real), f"{real[0]}.is_floating_point()"]
    types += [" == ".join(f"{name}.dtype" for name in real)] if len(real) > 1 else []
    # One look at all of them is enough where nothing is wrong, and else each is looked at in turn.
    lines = [f"if not ({' and '.join(types)}):", f"    {unpacked(real)} = _real({', '.join(f'{n}={n}' for n in real)})"]
    labels = parts.label_axes(program.inputs)
    lines += [f'{names[n]} = _labels("{names[n]}", {names[n]}, "{axis}")' for n, axis in labels.items()]
    plain = parts.integers(program.inputs)
    lines += [f'{names[n]} = _integer("{names[n]}", {names[n]}, {least})' for n, least in plain.items()]
    tensors = [n for n in program.inputs if n not in plain]
    lines += parts.checked(tensors)
    for name, axis in labels.items():
        holder = parts.holder(axis, program.inputs)
        if holder is not None:
            at = parts.array(holder).dims.index(axis)
            lines.append(f'_places("{names[name]}", {names[name]}, "{axis}", {names[holder]}.shape[{at}])')
    lines += validation(parts, "Tensor").call("{}.detach()")
    over = parts.maximum_axes(program.forward)
    lines += parts.lengths(over, program.inputs)
    return [*lines, *parts.nonempty(over), f"return {', '.join(names[n] for n in program.inputs)}"]


def _public(parts: Parts, function: str) -> list[str]:
    program, names = parts.program, parts.names
    given = [names[n] for n in program.inputs]
    validate = ", validate" if parts.derivation.layer.facts else ""
    lines = [f"{', '.join(given)} = _arguments({', '.join(given)}{validate})"]
    known = (*parts.label_axes(program.inputs), *parts.integers(program.inputs))
    constant = [names[n] for n in program.inputs if n not in program.wrt and n not in known]
    if constant:
        lines.append(f"_constant({', '.join(f'{n}={n}' for n in constant)})")
    if len(program.forward.outputs) == len(program.outputs):
        return [*lines, f"return {function}({', '.join(given)})"]
    call = f"{function}(bool(_transforms()), {', '.join(given)})"
    if len(program.outputs) == 1:
        return [*lines, f"return {call}[0]"]
    return [*lines, f"return {call}[:{len(program.outputs)}]"]


_MADE = ("_empty({0}, {1})", "_zeros({0}, {1})")


def _loops(parts: Parts) -> dict[str, Looped]:
    """The program's loops, by the pass that they run."""
    loops = exponentials_of_two(parts.program).loops
    gone = {"forward": parts.program.dropped}
    together = "_together({0}, {1}, {2}, {3})"
    return {
        name: Looped(
            parts,
            _without(loop, gone.get(name, ())),
            f"_{name}_part",
            producing(parts, TORCH_IN_PLACE).spelling,
            missing=gone.get(name, ()),
            together=together,
        )
        for name, loop in loops
    }


def producing(parts: Parts, spelling: Spelling = TORCH_PRODUCTS) -> Parts:
    """For statements of the passes themselves, which no derivative is taken through: their products are computed by whoever is fast."""
    return replace(parts, spelling=with_plain_products(spelling) if "onednn" in parts.program.without else spelling)


def _without(loop: Loop, missing: tuple[str, ...]) -> Loop:
    """The loop without results that only the whole keeps: the function for a part is not called for the whole."""
    results = tuple(part for part in loop.results if part.name not in missing)
    return replace(loop, results=results, body=pruned(replace(loop.body, outputs=tuple(part.name for part in results))))


def _in_parts(parts: Parts, loop: Looped, like: str) -> list[str]:
    """What runs where the whole would be too large: before the loop, the loop, and after it."""
    in_place = producing(parts, TORCH_IN_PLACE)
    return [*producing(parts).code(loop.loop.before), *loop.each(like, *_MADE), *in_place.code(loop.loop.after)]


def _forward(parts: Parts, held: Held, loops: dict[str, Looped]) -> list[str]:
    program, names = parts.program, parts.names
    loop = loops.get("forward")
    lines = parts.lengths((*dims_of(program.forward), *mentioned(loop)), program.inputs)
    fast = producing(parts)
    code = fast.code(program.forward)
    if loop is not None:
        code = [*fast.code(_whole_forward(program, held)), *([f"{' = '.join(names[n] for n in held.spare)} = None"] if held.spare else [])]
        code = [f"if {_is_whole(parts, loop)}:", *indented(code), "else:", *indented(_in_parts(parts, loop, parts.like(program.inputs)))]
    outputs = [names[n] for n in (*program.outputs, *held.extra)]
    return used([*lines, *code, f"return {', '.join(outputs)}"])


def _whole_forward(program: Program, held: Held) -> Block:
    """The forward pass where the whole is computed at once."""
    outputs = tuple(name for name in program.forward.outputs if name not in held.spare)
    if not held.spare:
        return program.forward
    table = () if "fused" in program.without else tuple(TORCH.fused)
    return fused_block(pruned(replace(program.forward, outputs=outputs)), table)


def _forward_alone(parts: Parts, held: Held) -> list[str]:
    """The forward pass as the body of a Function."""
    names = parts.names
    call = f"_forward_pass({', '.join(names[n] for n in parts.program.inputs)})"
    if not held.spare:
        return [f"return {call}"]
    made = [names[n] if n not in held.spare else "_" for n in (*parts.program.outputs, *held.extra)]
    return [f"{', '.join(made)} = {call}", f"return {tuple_of([name for name in made if name != '_'])}"]


def _is_whole(parts: Parts, loop: Looped) -> str:
    """The condition under which the forward pass does not run in parts."""
    program = parts.program
    if not program.dropped:
        return f"_whole({loop.entries()}, {parts.like(program.inputs)})"
    given = [parts.names[n] for n in program.inputs if parts.array(n).kind != "int" and parts.array(n).dims]
    return f"_saved_whole({loop.entries()}, {', '.join(given)})"


def _early_pass(parts: Parts, held: Held, loops: dict[str, Looped]) -> list[str]:
    """The outputs and, for an upstream gradient of 1, the gradients, in parts: what `_forward_pass` would have to be called again for
    is at hand in the backward pass."""
    program, names = parts.program, parts.names
    loop = loops.get("both")
    if loop is None or (held.sure and not set(program.inputs) <= set(held.kept)):
        return []
    lines = [*parts.lengths(mentioned(loop), program.inputs), *_in_parts(parts, loop, parts.like(program.inputs))]
    return used([*lines, f"return {', '.join(names[n] for n in (*program.outputs, *program.gradients))}"])


def _unless_whole(parts: Parts, loops: dict[str, Looped]) -> list[str]:
    """The lines that decide whether gradients are made early."""
    loop = loops["both"]
    condition = f"if sum(ctx.needs_input_grad) == {len(parts.program.wrt)} and not {_is_whole(parts, loop)}:"
    return used([*parts.lengths((*loop.loop.dims, *loop.loop.width), parts.program.inputs), condition])


def _forward_backward(parts: Parts, held: Held, calls: Calls, early: bool) -> list[str]:
    program = parts.program
    flags = dict(zip(program.wrt, held.flags))
    arguments = [*held.flags, *held.sizes(), *(parts.names[n] for n in held.backward_arguments)]
    call = f"{calls.backward}({', '.join(arguments)})"
    lines = [f"{unpacked(['_'] * bool(held.extra) + [flags.get(n, '_') for n in program.inputs])} = ctx.needs_input_grad"]
    gradients = [parts.names[n] for n in program.gradients]
    recorded = f"{unpacked(gradients)} = _spread({tuple_of(held.flags)}, {call})"
    if calls.plain:
        plain = [
            *parts.lengths(held.own_lengths, held.kept, held.lengths),
            f"{', '.join(gradients)} = {calls.plain}({', '.join(held.own_arguments)})",
        ]
        lines += ["if _recorded():", *indented([recorded]), "else:", *indented(plain)]
    else:
        lines.append(recorded)
    where = dict(zip(program.wrt, gradients))
    returned = held.returned(where)
    missing = _filled(parts, program.upstream, held.kept, held.lengths) if held.extra else []
    return held.opened(held.kept, [*missing, *held.again(early), *lines, f"return {', '.join(returned)}"])


def _filled(parts: Parts, upstream: tuple[str, ...], holders: tuple[str, ...], known: tuple[str, ...], like: str = "") -> list[str]:
    """Zeros in place of upstream gradients or tangents that torch left out."""
    like = like or parts.like(holders)
    lines = parts.lengths([dim for n in upstream for dim in parts.array(n).dims], holders, known)
    for name in upstream:
        shape = tuple_of([parts.sizes[dim] for dim in parts.array(name).dims])
        lines.append(f"if {parts.names[name]} is None:")
        lines.append(f"    {parts.names[name]} = {like}.new_zeros({shape})")
    return lines


def _tangent_names(parts: Parts, held: Held) -> list[str]:
    """The parameters of `jvp`: a tangent for each argument of `forward`, those that are never there under a name of their own."""
    program = parts.program
    found = ["_fill"] * bool(held.extra)
    return found + [parts.names[f"t{n}"] if n in program.wrt else f"_{parts.names[n]}" for n in program.inputs]


def _forward_jvp(parts: Parts, held: Held) -> list[str]:
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
    lines.append(f"return {', '.join([*(names[n] for n in block.outputs), *(['None'] * len(held.more))])}")
    return held.opened(held.kept, lines, [names[op.out] for op in block.ops if op.out in names])


def _backward(parts: Parts, held: Held, loops: dict[str, Looped]) -> list[str]:
    """The statements, each under the condition that a gradient which needs it is asked for; the others are None."""
    program, names = parts.program, parts.names
    loop = loops.get("backward")
    gradients = [names[n] for n in program.gradients]
    given = (*program.saved, *program.upstream)
    lines = parts.lengths(held.backward_dims, given, held.own_lengths)
    returned = f"return {', '.join(gradients)}"
    if loop is not None:
        upstream = ", ".join(names[n] for n in program.upstream)
        gone = f"not _whole({loop.entries()}, {upstream})"
        if program.dropped:
            gone = f"{names[program.dropped[0]]} is None and not _traced({upstream})"
        lines += [f"if {gone}:", *indented([*_in_parts(parts, loop, parts.like(given)), returned])]
    fast = producing(parts)
    lines += anew(fast)
    if len(gradients) == 1:
        return used([*lines, *fast.code(program.backward), returned])
    flags = dict(zip(program.gradients, held.flags))
    lines.append(f"{' = '.join(gradients)} = None")

    def condition(demanded_by: tuple[str, ...]) -> str | None:
        return None if len(demanded_by) == len(flags) else " or ".join(flags[g] for g in demanded_by)

    return used([*lines, *fast.code(program.backward, condition), returned])


def _needed_alone(parts: Parts, held: Held) -> list[str]:
    """The backward pass as the body of a Function: the gradients that are needed, in a tuple."""
    lines = parts.lengths(held.own_lengths, held.kept, held.lengths)
    call = f"_backward_pass({', '.join(held.own_arguments)})"
    return [*lines, f"return ({call},)" if len(parts.program.wrt) == 1 else f"return _needed({tuple_of(held.flags)}, {call})"]


def _backward_backward(parts: Parts, held: Held, function: str) -> list[str]:
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


def _backward_jvp(parts: Parts, held: Held) -> list[str]:
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


def _straight(parts: Parts, block: Block | None, held: Held) -> list[str]:
    """A block as the body of a Function: all of its outputs, in a tuple."""
    assert block is not None
    lines = parts.lengths((*dims_of(block), *anew_dims(parts, block)), block.inputs, held.lengths)
    lines += [*anew(parts, block), *parts.code(block)]
    return [*used(lines), f"return {tuple_of([parts.names[n] for n in block.outputs])}" if block.outputs else "return ()"]
