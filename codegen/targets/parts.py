"""What the modules of every target are made of: sizes read off shapes, statements as lines, and the docstring."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from codegen.passes.reuse import unmarked
from codegen.program import Block, Op, Program, dims_used, is_temporary
from codegen.targets.emit import Line, Statement, statements
from codegen.targets.lengths import whole
from codegen.targets.memory import Memory
from codegen.targets.naming import names_for
from codegen.targets.text import Spelling, comment, tuple_of
from derive.expr import Equation, Expr, Fn, Length, Position, Size, Tensor, walk
from derive.indices import tensors_in
from derive.proof import equation_json, expr_json, fact_json, sizes_json, tensor_json
from derive.write import write


@dataclass(frozen=True)
class Parts:
    """A program with the Python names that one target gives its arrays and axes."""

    derivation: Any
    program: Program
    spelling: Spelling
    reserved: tuple[str, ...] = ()
    derived: bool = True
    """Whether what the derivation does not compute is the work of a pass."""

    @cached_property
    def _named(self) -> tuple[dict[str, str], dict[str, str]]:
        arrays = [a.name for a in self.program.arrays]
        for block in self.blocks:
            arrays += [op.out for op in block.ops if not is_temporary(op.out)]
        for _, loop in self.program.loops:
            arrays += [part.name for part in loop.results]
            arrays += [op.out for op in (*loop.before.ops, *loop.after.ops) if not is_temporary(op.out)]
        axes = [dim for a in self.program.arrays for dim in (*a.dims, *([a.values] if a.values else []))]
        axes += [length.dim for length in self.derivation.layer.sizes]
        names, sizes = names_for(dict.fromkeys(arrays), dict.fromkeys(axes), self.reserved)
        # A plain integer is known like the length of an axis.
        return names, {**sizes, **{a.name: names[a.name] for a in self.program.arrays if a.is_plain_integer}}

    @property
    def blocks(self) -> tuple[Block, ...]:
        program = self.program
        every = (program.forward, program.backward, program.tangent, program.second, program.second_tangent)
        return tuple(block for block in every if block is not None)

    @property
    def names(self) -> dict[str, str]:
        return self._named[0]

    @property
    def sizes(self) -> dict[str, str]:
        return self._named[1]

    def array(self, name: str) -> Tensor:
        return self.program.array(name)

    def statements(self, block: Block, memory: Memory | None = None) -> tuple[Statement, ...]:
        if "reuse" in self.program.without:
            block = unmarked(block)
        spelling = replace(self.spelling, in_place=False) if "inplace" in self.program.without else self.spelling
        return statements(block, self.names, self.sizes, self.like(block.inputs), spelling, memory, self._says)

    def like(self, inputs: Sequence[str]) -> str:
        """The Python name of an array of real numbers, the first that is not a scalar if there is one. It is there in any case."""
        real = [self.array(name) for name in inputs if self.array(name).kind != "int" and name not in self.program.dropped]
        chosen = next((a for a in real if a.dims), real[0] if real else next((a for a in map(self.array, inputs) if a.dims), None))
        return self.names[chosen.name] if chosen is not None else "None"

    def lengths(self, dims: Iterable[str], arrays: Sequence[str], known: Iterable[str] = ()) -> list[str]:
        """`N = X.shape[0]` for each axis that is not already known, those first by which the lengths of others are given."""
        lines: list[str] = []
        done = set(known)

        def add(dim: str) -> None:
            if dim in done:
                return
            done.add(dim)
            source = self.holder(dim, arrays)
            if source is not None:
                tensor = self.array(source)
                at = tensor.dims.index(dim)
                place = -1 if at == len(tensor.dims) - 1 and at > 0 else at
                lines.append(f"{self.sizes[dim]} = {self.names[source]}.shape[{place}]")
            elif dim in self._rules and self._follows(self._rules[dim].value, arrays, known):
                for node in walk(self._rules[dim].value):
                    if isinstance(node, Size):
                        add(node.dim)
                lines.append(self._ruled(self._rules[dim]))

        for dim in dims:
            add(dim)
        return lines

    @cached_property
    def _rules(self) -> dict[str, Length]:
        """The lengths that the layer states by others, by axis."""
        return {length.dim: length for length in self.derivation.layer.sizes}

    def _follows(self, value: Expr, arrays: Sequence[str], known: Iterable[str]) -> bool:
        """Whether a length is made of plain integers among the arrays, and of axes that they have or that follow from theirs."""
        return all(
            node.dim in known
            or self.holder(node.dim, arrays) is not None
            or (node.dim in self._rules and self._follows(self._rules[node.dim].value, arrays, known))
            if isinstance(node, Size)
            else set(tensors_in(node)) <= set(arrays)
            for node in walk(value)
            if isinstance(node, (Size, Position))
        )

    def _ruled(self, length: Length) -> str:
        """The line that computes the length of an axis, and refuses one that is none."""
        used = dict.fromkeys(
            self.sizes[name] for node in walk(length.value) for name in ((node.dim,) if isinstance(node, Size) else tensors_in(node))
        )
        given = ", ".join(f"{name}={name}" for name in used)
        axes = dict.fromkeys(self.sizes[node.dim] for node in walk(length.value) if isinstance(node, Size))
        empty = f"0 in {tuple_of(list(axes))}" if axes else "False"
        return f'{self.sizes[length.dim]} = _length("{length.dim}", {whole(length.value, self.sizes)}, {empty}, {given})'

    def integers(self, names: Iterable[str]) -> dict[str, int]:
        """Plain integer among the arrays -> the least it may be: a divisor is at least 1."""
        divisors = {
            name
            for length in self.derivation.layer.sizes
            for node in walk(length.value)
            if isinstance(node, Fn) and node.name == "floor_div"
            for name in tensors_in(node.args[1])
        }
        return {n: int(n in divisors) for n in names if self.array(n).is_plain_integer}

    def holder(self, dim: str, arrays: Iterable[str]) -> str | None:
        """The first of the arrays that has the axis."""
        return next((name for name in arrays if dim in self.array(name).dims and name not in self.program.dropped), None)

    def missing(self, dims: Iterable[str], arrays: Sequence[str]) -> tuple[str, ...]:
        """The axes whose lengths cannot be read off any of the arrays."""
        return tuple(dim for dim in dict.fromkeys(dims) if self.holder(dim, arrays) is None and dim not in arrays)

    def axes_table(self, names: Iterable[str]) -> list[str]:
        """Lines of the dictionary from an array's name to its axes, for the checks of shapes."""
        lines = []
        for name in names:
            dims = self.array(name).dims
            lines.append(f'"{self.names[name]}": {tuple_of([json.dumps(d) for d in dims])},')
        return lines

    def code(self, block: Block, wrap: Callable[[tuple[str, ...]], str | None] = lambda _: None, memory: Memory | None = None) -> list[str]:
        """The block's lines; `wrap` may give the condition under which what some outputs depend on is computed."""
        pairs: list[tuple[str | None, str]] = []
        for statement in self.statements(block, memory):
            conditions = [self._header(line, wrap(line.demanded_by)) for line in statement.lines]
            # The comment stands above the statement; where parts of it have conditions of their own, above the last.
            at = 0 if len(set(conditions)) == 1 else len(conditions) - 1
            for n, (condition, line) in enumerate(zip(conditions, statement.lines)):
                if n == at:
                    above = None if condition == self.spelling.discarding else condition
                    pairs += [(above, text) for text in comment(self._says(statement.equation))]
                pairs += [(condition, code) for code in (line.code, *line.more)]
        lines: list[str] = []
        current: str | None = None
        for condition, text in pairs:
            if condition != current and condition is not None:
                lines.append(condition)
            current = condition
            lines.append(text if condition is None else f"    {text}")
        return lines

    def _says(self, equation: Equation) -> str:
        made = "By a pass: " if equation.target.tensor in self._added else ""
        return self._cited.get(equation, made) + write(equation)

    @cached_property
    def _added(self) -> set[str]:
        """The arrays that a pass adds to those that the derivation computes."""
        if not self.derived:
            return set()
        equations: list[Equation] = []
        for each in (self.derivation, self.derivation.second):
            equations += [*each.forward, *each.backward, *each.tangents]
        blocks = (*self.blocks, *(loop.body for _, loop in self.program.loops))
        return {op.out for block in blocks for op in block.ops} - {equation.target.tensor for equation in equations}

    @cached_property
    def _cited(self) -> dict[Equation, str]:
        """Equation -> how the proof that ends in it is headed, as in `Lemma: `; the layer's own have none."""
        from derive.render.page import kind_of

        proofs = [proof for each in (self.derivation, self.derivation.second) for proof in each.computed]
        return {proof.result: f"{kind_of(proof)}: " for proof in reversed(proofs) if proof.result not in self.derivation.layer.equations}

    def _header(self, line: Line, condition: str | None) -> str | None:
        """What a line stands under, if anything."""
        if condition is not None:
            return f"if {condition}:"
        return self.spelling.discarding if line.discards and self.spelling.discarding else None

    def checked(self, arrays: Iterable[str], often: bool = True) -> list[str]:
        """Lines that refuse arrays without their axes, or whose lengths of the same axis differ; where that is done `often`, `_check`,
        which words what is wrong, is called only if something is."""
        given = {name: self.names[name] for name in arrays}
        fitting: list[str] = []
        first: dict[str, str] = {}
        for name, code in given.items():
            dims = self.array(name).dims
            fitting.append(f"{code}.ndim == {len(dims)}")
            for at, dim in enumerate(dims):
                length = f"{code}.shape[{at}]"
                if first.setdefault(dim, length) != length:
                    fitting.append(f"{length} == {first[dim]}")
        unless = f"not ({' and '.join(fitting)})" if len(fitting) > 1 else fitting[0].replace("==", "!=")
        call = f"_check({', '.join(f'{code}={code}' for code in given.values())})"
        return [f"if {unless}:", f"    {call}"] if often else [call]

    def nonempty(self, dims: tuple[str, ...]) -> list[str]:
        """Lines that refuse axes without any places, of which there is no maximum."""
        sizes = [self.sizes[dim] for dim in dims]
        unless = f"0 in {tuple_of(sizes)}" if len(sizes) > 1 else f"{sizes[0]} == 0" if sizes else ""
        return [f"if {unless}:", f"    _nonempty({', '.join(f'{size}={size}' for size in sizes)})"] if sizes else []

    def label_axes(self, names: Iterable[str]) -> dict[str, str]:
        """Integer array -> the axis whose places its entries number."""
        return {n: values for n in names if (values := self.array(n).values) is not None}

    def maximum_axes(self, block: Block) -> tuple[str, ...]:
        inner = [op for scan in block.ops if scan.scan is not None for op in scan.scan.body.ops]
        return tuple(dict.fromkeys(i.dim for op in (*block.ops, *inner) if op.kind == "reduce" and op.fn == "max" for i in op.over))


IMPORTS = (
    "import contextvars",
    "import functools",
    "import itertools",
    "import math",
    "import mmap",
    "import operator",
    "import os",
    "from collections.abc import Callable, Iterable, Iterator",
    "from concurrent.futures import ThreadPoolExecutor",
)


def imports(code: str) -> list[str]:
    """What a module imports because its code uses it."""
    found = []
    for line in IMPORTS:
        start, names = line.rsplit("import ", 1)
        used_names = [name for name in names.split(", ") if re.search(rf"\b{name}[.\[(]", code)]
        found += [f"{start}import {', '.join(used_names)}"] if used_names else []
    return found


def constants(code: str) -> list[str]:
    values = {"_CACHE": "1 << 20  # bytes that are fast to read again", "_LARGE": "1 << 22  # multiplications"}
    return [f"{name} = {value}" for name, value in values.items() if re.search(rf"\b{name}\b", code)]


def indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def used(lines: Sequence[str]) -> list[str]:
    """The lines without the lengths of axes that no later line mentions."""
    found: list[str] = []
    for line in reversed(lines):
        length = re.fullmatch(r"(\w+) = \w+\.shape\[-?\d+\]", line)
        if length is None or any(re.search(rf"\b{length[1]}\b", later) for later in found if not later.lstrip().startswith("#")):
            found.append(line)
    return found[::-1]


def packed(names: Sequence[str]) -> str:
    """One name as it stands, several as a tuple."""
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def unpacked(names: Sequence[str]) -> str:
    """The left-hand side that takes a tuple apart."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def digest(layer: Any) -> str:
    """The hash of what a layer says, but for its documentation."""
    data = {
        "name": layer.name,
        "tensors": [tensor_json(t) for t in layer.tensors],
        "equations": [equation_json(e) for e in layer.equations],
        "facts": [fact_json(f) for f in layer.facts],
        "arguments": [list(layer.inputs), list(layer.outputs), list(layer.wrt)],
        "batch": [expr_json(i) for i in layer.batch],
        **sizes_json(layer.sizes),
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def docstring(parts: Parts, first: str, saved: Mapping[str, str]) -> list[str]:
    """The module's documentation: equations, facts, shapes, what is saved and why, gradients."""
    layer = parts.derivation.layer
    lines = [first, ""]
    lines += [line for equation in layer.equations for line in _wrapped(write(equation))]
    if layer.facts:
        lines += ["", "It is assumed, and the gradients rely on it, that", ""]
        lines += [f"    {write(fact)}" for fact in layer.facts]
    lines += [f"    {write(length)}" for length in layer.sizes]
    lines += ["", "Shapes:", ""]
    for name in (*layer.inputs, *layer.outputs):
        tensor = parts.array(name)
        shape = "" if tensor.is_plain_integer else f" {_shape(tensor.dims)}"
        lines.append(f"    {parts.names[name]}{shape}{_role(tensor, layer)}")
    lines += ["", "Saved for the backward pass:" if saved else "Nothing is saved for the backward pass.", *([""] if saved else [])]
    lines += [f"    {name}: {why}" for name, why in saved.items()]
    gradients = _gradients(parts)
    lines += ["", "Gradients, as the lemmas of the proof end:", "", *(line for gradient in gradients for line in _wrapped(gradient))]
    if any(op.kind == "matrix" and op.fn == "inv" for block in parts.blocks for op in block.ops):
        lines += ["", "Raises LinAlgError where a matrix to be inverted is singular."]
    if layer.doc:
        lines += ["", *(line.rstrip() for line in layer.doc.strip().splitlines())]
    return [line.replace("\\", "\\\\").replace('"""', "'''") for line in lines]


def _wrapped(text: str) -> list[str]:
    """A formula, indented, in lines of readable length."""
    return textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="        ", break_long_words=False, break_on_hyphens=False)


def _role(tensor: Tensor, layer: Any) -> str:
    if tensor.is_plain_integer:
        return ": an integer"
    if tensor.kind == "int":
        return f": integers from 0 up to {tensor.values}"
    return ": not differentiated" if tensor.name in layer.inputs and tensor.name not in layer.wrt else ""


def _shape(dims: tuple[str, ...]) -> str:
    return f"({', '.join(dims)})" if dims else "(a scalar)"


def _gradients(parts: Parts) -> list[str]:
    """A line for each step of the backward pass: in matrix form where it has one, else in index notation."""
    from derive.render.formula_text import matrix_text
    from derive.render.notation import context

    derivation = parts.derivation
    lines = []
    stable = {e.target.tensor: e for e in derivation.backward}
    for proof in derivation.lemmas:
        target = proof.result.target.tensor
        if target not in stable:
            continue
        if proof.matrix is not None:
            where = context([t.name for t in proof.tensors], proof.batch, ascii=True)
            lines.append(f"{target} = {matrix_text(proof.matrix, where)}")
        else:
            lines.append(write(stable[target]))
    return lines


def saved_for(parts: Parts, ops: Sequence[Op]) -> dict[str, str]:
    """Saved array -> the names of what is computed of it, in words."""
    readers: dict[str, dict[str, None]] = {name: {} for name in parts.program.saved}
    temporary: dict[str, set[str]] = {}
    for op in ops:
        read = {v for arg in op.args for v in ({arg.value} | temporary.get(arg.value, set()))}
        temporary[op.out] = {v for v in read if v in readers} if is_temporary(op.out) else set()
        if op.source is not None:
            for name in parts.program.saved:
                if name in read:
                    readers[name][parts.names[op.out]] = None
    names, again = parts.names, parts.program.recompute
    for name in parts.program.saved:
        if again is not None and name in again.inputs:
            readers[name].update(dict.fromkeys(names[n] for n in parts.program.dropped))
    large = dict.fromkeys(parts.program.dropped, "; where it is large it is not saved but made anew")
    return {names[name]: f"for {_listing(list(found))}{large.get(name, '')}" for name, found in readers.items()}


def _listing(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "nothing"


def dims_of(block: Block) -> tuple[str, ...]:
    return dims_used(block.ops)
