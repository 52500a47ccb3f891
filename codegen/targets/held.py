"""What the torch target saves for its backward passes, and the lines that save it and fetch it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from codegen.passes.dead import pruned
from codegen.program import Block, Program
from codegen.targets.looped import Looped
from codegen.targets.parts import Parts, dims_of, indented, unpacked
from codegen.targets.text import tuple_of


class Held:
    """What is saved for backward passes, in the order in which `_Backward` takes it."""

    def __init__(self, parts: Parts, backward: Looped | None) -> None:
        self.parts = parts
        program = parts.program
        self.kept = program.kept
        self.backward_arguments = (*program.kept, *program.upstream)
        self.backward_dims = (*dims_of(program.backward), *anew_dims(parts), *mentioned(backward))
        """The axes whose lengths the backward pass mentions."""
        blocks = [b for b in (program.backward, program.second, program.second_tangent) if b is not None]
        wanted = [dim for block in blocks for dim in dims_of(block)]
        wanted += [dim for name in self._filled() for dim in parts.array(name).dims]
        wanted += [dim for name in program.wrt if name not in self.kept for dim in parts.array(name).dims]
        wanted += dims_of(tangent_block(program))
        wanted += self.backward_dims
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
    def spare(self) -> tuple[str, ...]:
        """Those of them that only make dropped arrays anew: None where the whole is computed at once, as it always is for `_Forward`."""
        program = self.parts.program
        blocks = (program.backward, program.second, program.second_tangent)
        read = {arg.value for block in blocks if block is not None for op in block.ops for arg in op.args}
        return tuple(n for n in self.extra if program.recompute is not None and n in program.recompute.inputs and n not in read)

    @property
    def more(self) -> tuple[str, ...]:
        """What `_Forward` returns beside the outputs."""
        return tuple(n for n in self.extra if n not in self.spare)

    @property
    def flags(self) -> list[str]:
        """Whether the gradient of each differentiable argument is asked for: plain arguments, as torch.func asks."""
        return [f"need_{self.parts.names[n]}" for n in self.parts.program.wrt]

    @property
    def own_lengths(self) -> tuple[str, ...]:
        """The axes whose lengths the backward pass is told, because nothing that it reads has them."""
        program = self.parts.program
        return self.parts.missing(self.backward_dims, (*program.saved, *program.upstream))

    @property
    def own_arguments(self) -> list[str]:
        """What the backward pass itself is called with: it holds nothing that only the second order needs."""
        program, names = self.parts.program, self.parts.names
        flags = self.flags if len(program.wrt) > 1 else []
        return [*flags, *(self.parts.sizes[d] for d in self.own_lengths), *(names[n] for n in (*program.saved, *program.upstream))]

    def own_parameters(self) -> list[str]:
        """The same, as parameters."""
        program, names = self.parts.program, self.parts.names
        flags = [f"{flag}: bool" for flag in self.flags] if len(program.wrt) > 1 else []
        lengths = [f"{self.parts.sizes[d]}: int" for d in self.own_lengths]
        return [*flags, *lengths, *(f"{names[n]}: {self.kind(n)}" for n in (*program.saved, *program.upstream))]

    def kind(self, name: str) -> str:
        """The annotation of a saved array, some of which are there only if others are not."""
        return "Tensor | None" if name in (*self.parts.program.dropped, *self.spare) else "Tensor"

    def sizes(self) -> list[str]:
        return [self.parts.sizes[d] for d in self.lengths]

    def forward_setup(self) -> list[str]:
        program, names = self.parts.program, self.parts.names
        lines = []
        if self.extra:
            lines.append(f"ctx.mark_non_differentiable({', '.join(names[n] for n in self.more)})")
            # Zeros for values that have no gradient would cost as much memory again; torch.func cannot do without them.
            lines.append("ctx.set_materialize_grads(fill)")
        # Both save the same: torch.func takes the batch axes of one list for those of the other.
        kept = ", ".join(names[n] if n not in self.spare else "None" for n in self.kept)
        lines += [f"ctx.save_for_{way}({kept})" for way in ("backward", "forward")]
        if self.lengths:
            lines += self.parts.lengths(self.lengths, program.inputs)
            lines.append(f"ctx.lengths = {tuple_of(self.sizes())}")
        given = ["fill"] * bool(self.extra) + [names[n] for n in program.inputs]
        made = [names[n] for n in (*program.outputs, *self.more)]
        return [*taken(given, "inputs", lines), *taken(made, "output", lines, len(made) > 1), *lines]

    def reverse_forward(self, early: list[str]) -> list[str]:
        """The forward pass where reverse mode alone is asked for: what is saved beside inputs and outputs is no output of its own.

        Under the last of the lines `early`, the gradients are made as well.
        """
        program, names = self.parts.program, self.parts.names
        given, outputs = [names[n] for n in program.inputs], [names[n] for n in program.outputs]
        lines = [f"{', '.join([*outputs, *(names[n] for n in self.extra)])} = _forward_pass({', '.join(given)})"]
        if early:
            made = [f"{', '.join(outputs)}, *ctx.early = _early_pass({', '.join(given)})"]
            made += [f"{' = '.join(names[n] for n in self.extra)} = None"] if self.extra else []
            lines = [*early, *indented(made), "else:", *indented(lines)]
        lines.append(f"ctx.save_for_backward({', '.join(names[n] for n in self.kept)})")
        if self.lengths:
            lines += self.parts.lengths(self.lengths, program.inputs)
            lines.append(f"ctx.lengths = {tuple_of(self.sizes())}")
        return [*lines, f"return {tuple_of(outputs) if self.extra else ', '.join(outputs)}"]

    def reverse_backward(self) -> list[str]:
        """The backward pass of the same: early gradients, or what `_Forward` does."""
        program, names = self.parts.program, self.parts.names
        gradients = [names[n] for n in program.gradients]
        upstream = names[program.upstream[0]]
        return [
            f"early = _early(ctx, {upstream})",
            "if early is None:",
            f"    return _Forward.backward(ctx, {upstream})",
            f"{unpacked(gradients)} = early",
            f"return {', '.join(self.returned(dict(zip(program.wrt, gradients))))}",
        ]

    def returned(self, gradients: Mapping[str, str]) -> list[str]:
        """What a backward pass returns for each argument of the forward pass."""
        return ["None"] * bool(self.extra) + [gradients.get(n, "None") for n in self.parts.program.inputs]

    @property
    def sure(self) -> tuple[str, ...]:
        """Extra values of which one is there unless the gradients were made early; none where nothing is missing then."""
        always = tuple(n for n in self.extra if n not in (*self.parts.program.dropped, *self.spare))
        return always[:1] or ((self.parts.program.dropped[0], self.spare[0]) if self.spare else ())

    def again(self, early: bool) -> list[str]:
        """The lines that make the extra values after all, where early gradients took their place and were not what was asked for."""
        program, names = self.parts.program, self.parts.names
        if not early or not self.sure:
            return []
        values = ", ".join([*("_" for _ in program.outputs), *(names[n] for n in self.extra)])
        call = f"{values} = _forward_pass({', '.join(names[n] for n in program.inputs)})"
        return [f"if {' and '.join(f'{names[n]} is None' for n in self.sure)}:", "    with torch.no_grad():", f"        {call}"]

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
        saved = taken([self.parts.names[n] for n in names], "ctx.saved_tensors", lines, anew=anew)
        return [*saved, *taken(self.sizes(), "ctx.lengths", lines), *lines]


def taken(names: list[str], source: str, lines: Iterable[str], several: bool = True, anew: Iterable[str] = ()) -> list[str]:
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


def tangent_block(program: Program) -> Block:
    """The block of forward mode without the outputs themselves. It recomputes every forward value from the inputs, because a
    saved one does not carry the derivative by which torch differentiates forward mode."""
    block = program.tangent
    return pruned(Block(block.inputs, block.ops, tuple(n for n in block.outputs if n not in program.outputs)))


def mentioned(loop: Looped | None) -> list[str]:
    """The axes whose lengths a loop mentions, and what stands before and after it."""
    return [*loop.dims(), *dims_of(loop.loop.before), *dims_of(loop.loop.after)] if loop is not None else []


def anew(parts: Parts, block: Block | None = None) -> list[str]:
    """Lines that make dropped arrays anew, if the block reads any of them."""
    recompute = parts.program.recompute
    if recompute is None or (block is not None and not set(block.inputs) & set(recompute.outputs)):
        return []
    return [f"if {parts.names[recompute.outputs[0]]} is None:", *indented(parts.code(recompute))]


def anew_dims(parts: Parts, block: Block | None = None) -> tuple[str, ...]:
    """The axes whose lengths those lines mention."""
    return dims_of(parts.program.recompute) if parts.program.recompute is not None and anew(parts, block) else ()
