"""Ops of a block -> statements of source text, a comment with its equation above each; the same for every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from codegen.inlining import Inlining
from codegen.program import CONDITIONS, Block, Op, Read, Scan, is_temporary, needed, rename_read, rows_of_labels
from codegen.targets.contraction import contraction, summed
from codegen.targets.discarding import discarding
from codegen.targets.inplace import Unfolding
from codegen.targets.lengths import whole
from codegen.targets.memory import Memory
from codegen.targets.text import (
    ADD,
    ATOM,
    HOST_FUNCTIONS,
    MUL,
    POW,
    TEST,
    Factor,
    Spelling,
    Text,
    aligned,
    comment,
    number,
    permuted,
    product,
    renamed,
    total,
    tuple_of,
)
from derive.affine import coefficients
from derive.expr import Equation, Expr, Idx
from derive.write import write


@dataclass(frozen=True)
class Line:
    """One assignment, which outputs of the block depend on it, and whether a mask discards what overflows in it."""

    name: str
    code: str
    demanded_by: tuple[str, ...]
    discards: bool = False
    more: tuple[str, ...] = ()
    """Statements that finish the value in place."""


@dataclass(frozen=True)
class Statement:
    """The assignments that complete one equation; the last of them is its target."""

    equation: Equation
    lines: tuple[Line, ...]


def statements(
    block: Block,
    names: Mapping[str, str],
    sizes: Mapping[str, str],
    like: str,
    spelling: Spelling,
    memory: Memory | None = None,
    says: Callable[[Equation], str] = write,
) -> tuple[Statement, ...]:
    """The block's ops as statements, in order.

    `names` and `sizes` give arrays and axes their Python names, `like` is an array whose element type made ones take, `memory` where
    large arrays are computed, and `says` what a comment says of an equation. Raises NotImplementedError for a function that the target
    cannot spell.
    """
    return _Emitter(block, names, sizes, like, spelling, memory, says).statements()


_SIGNS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}
_MIRRORED = {"equal": "equal", "not_equal": "not_equal", "less": "greater", "less_equal": "greater_equal"}
_KINDS = {"read": "windows", "place": "placed"}
_HEADS = {"delta": "onehot", "and": "mask", "where": "masked"}
_POWERS = {Fraction(-1): "inverse", Fraction(1, 2): "sqrt", Fraction(-1, 2): "rsqrt", Fraction(2): "square"}


class _Emitter:
    def __init__(
        self,
        block: Block,
        names: Mapping[str, str],
        sizes: Mapping[str, str],
        like: str,
        spelling: Spelling,
        memory: Memory | None = None,
        says: Callable[[Equation], str] = write,
        step: str = "",
    ) -> None:
        self.block = block
        self.says = says
        self.step = step
        self.spelling = spelling
        self.sizes = sizes
        self.like = like
        self.given = memory.given(block) if memory is not None else None
        inlining = Inlining(block.ops, apart=memory is not None)
        self.made, self.host, self._inlined = inlining.made, inlining.host, inlining.inlined
        self.rows = rows_of_labels(block.ops)
        self.names = dict(names)
        self.discarding = discarding(block.ops, self._inlined)
        self.taken = {*names.values(), *sizes.values()}

    def statements(self) -> tuple[Statement, ...]:
        live = {output: needed(self.block.ops, (output,)) for output in self.block.outputs}
        found: list[Statement] = []
        lines: list[Line] = []
        for op in self.block.ops:
            if self._inlined(op.out):
                continue
            if is_temporary(op.out):
                self.names[op.out] = self._temporary_name(op)
            demand = tuple(output for output in self.block.outputs if op.out in live[output])
            name = self.names[op.out]
            code, *more = self._scan(op, op.scan, name) if op.kind == "scan" and op.scan is not None else self._assigned(op, name)
            lines.append(Line(name, code, demand, op.out in self.discarding, tuple(more)))
            if op.source is not None:
                found.append(Statement(op.source, tuple(lines)))
                lines = []
        return tuple(found)

    def _temporary_name(self, op: Op) -> str:
        """A name that says what the value is: `exp_S`, `sum_X`, `X_W`."""
        if op.kind == "scan" and op.scan is not None:
            return self._unused("_".join(self.names[member] for member in op.scan.body.outputs) + "_scan")
        roots = [self.names[root] for root in (self._root(arg.value) for arg in op.args) if root is not None]
        if op.fn == "power" and op.number is not None:
            head = _POWERS.get(op.number, "power")
        elif op.kind in _KINDS:
            head = _KINDS[op.kind]
        elif op.kind in ("map", "reduce", "matrix") and op.fn not in ("add", "mul"):
            head = _HEADS.get(op.fn, op.fn)
        else:
            head = ""
        parts = [head, *roots[:1]] if head else list(dict.fromkeys(roots))[:2]
        if not head and len(parts) == 1:
            parts.append("shifted" if op.fn == "add" else "scaled")
        return self._unused("_".join(part for part in parts if part) or "t")

    def _unused(self, base: str) -> str:
        """A name like `base` that nothing has yet."""
        name, n = base, 2
        while name in self.taken:
            name, n = f"{base}_{n}", n + 1
        self.taken.add(name)
        return name

    def _root(self, value: str) -> str | None:
        """The first value with a name that goes into this one."""
        if value in self.names:
            return value
        roots = (self._root(arg.value) for arg in self.made[value].args)
        return next((root for root in roots if root is not None), None)

    def _assigned(self, op: Op, name: str) -> list[str]:
        """The op's statements; an output is an array of its own, never a view of another."""
        text = permuted(self._text(op), op.axes, self.spelling)
        if text.view and op.out in self.block.outputs:
            return [f"{name} = {self.spelling.copy.format(text.at(ATOM))}"]
        if self.given is not None and text.added and self.given.adds(op):
            return [f"{name} = {text.added.format(name)}"]
        lines = [f"{name} = {text.code}"]
        dying = self.names.get(op.into, "")
        offered = self.given.offer(op) if self.given is not None and len(op.axes) > 1 else ""
        if self.spelling.in_place and len(op.axes) > 1:
            spare = self.given is not None and self.given.spare(offered)
            lines = Unfolding(name, op.axes, dying, self.spelling.module, self.spelling.copy, offered, spare).statements(text)
        if self.given is not None:
            self.given.done(op, lines, offered, dying, text.view or text.code.isidentifier())
        return lines

    # ------------------------------------------------------------------------------------------------ values

    def _value(self, read: Read) -> Text:
        if not self._inlined(read.value):
            return Text(self.names[read.value], ATOM, read.axes)
        op = self.made[read.value]
        text = self._text(op)
        return renamed(text, dict(zip(op.axes, read.axes)))

    def _text(self, op: Op) -> Text:
        if op.kind == "number":
            return number(op.number) if op.number is not None else Text(f"math.{op.fn}", host=True)
        if op.kind == "size":
            return Text(self.sizes[op.dim], host=True)
        if op.kind == "step":
            return Text(self.step, host=True)
        if op.kind == "item":
            return self._item(op)
        if op.kind == "position":
            return Text(self.spelling.arange.format(self.sizes[op.axes[0].dim], self.like), ATOM, op.axes)
        if op.kind == "map":
            return self._map(op)
        if op.kind == "reduce":
            return summed(self._value(op.args[0]), op.over, op.fn, self.spelling)
        if op.kind == "contract":
            if len(op.args) != 2:
                raise AssertionError(f"a contraction of {len(op.args)} arrays was not put in order: {op}")
            added = self._scattered(op)
            return added or contraction(self._value(op.args[0]), self._value(op.args[1]), op.over, op.axes, self.sizes, self.spelling)
        if op.kind == "gather":
            return self._gather(op)
        if op.kind == "diagonal":
            return self._diagonal(op)
        if op.kind == "matrix":
            return self._matrix(op)
        if op.kind == "read":
            return self._read(op)
        if op.kind == "place":
            return self._placed(op)
        return self._expand(op)

    # ------------------------------------------------------------------------------------------------ recurrences

    def _scan(self, op: Op, scan: Scan, name: str) -> list[str]:
        """The step of a recurrence as a function of the place and of earlier entries, and its values from end to end."""
        function = self._unused(f"step_{'_'.join(self.names[member] for member in scan.body.outputs)}")
        names = {n: self.names[n] for n in scan.body.outputs}
        names.update((inner.out, self.names[inner.out]) for inner in scan.body.ops if inner.out in self.names)
        outside, self.taken = self.taken, {*self.taken, *names.values()}
        place = self._unused(op.over[0].name if op.over[0].name.isidentifier() else "t")
        lines: list[str] = []
        for arg, (part, axis) in zip(op.args, scan.parts):
            names[part] = self.names[arg.value]
            if axis >= 0:
                names[part] = self._unused(f"{self.names[arg.value]}_{place}")
                lines.append(f"{names[part]} = {self.names[arg.value]}[{':, ' * axis}{place}]")
        past = []
        for value, member, offset in scan.past:
            steps = f"_{abs(offset)}" if abs(offset) > 1 else ""
            names[value] = self._unused(f"{self.names[scan.body.outputs[member]]}{'_before' if offset < 0 else '_after'}{steps}")
            past.append(f"({member}, {offset})")
        inner = _Emitter(scan.body, names, self.sizes, self.like, self.spelling, says=self.says, step=place)
        inner.taken |= self.taken
        self.taken = outside
        for statement in inner.statements():
            lines += comment(self.says(statement.equation))
            for line in statement.lines:
                held = line.discards and self.spelling.discarding
                code = (line.code, *line.more)
                lines += [self.spelling.discarding, *(f"    {each}" for each in code)] if held else code
        results = [names[member] for member in scan.body.outputs]
        lines.append(f"return {tuple_of(results)[1:-1] if len(results) > 1 else tuple_of(results)}")
        kind_of = self.spelling.kind_of.format(self.like)
        ends = [self.spelling.full.format(tuple_of([self.sizes[i.dim] for i in axes]), "0.0", kind_of, self.like) for axes in scan.axes]
        given = ", ".join([function, self.sizes[op.dim], tuple_of(ends), tuple_of(past), *(["backwards=True"] if scan.backwards else [])])
        kind = "Tensor" if self.spelling.module == "torch" else "Array"
        earlier = ", ".join([f"{place}: int", *(f"{names[value]}: {kind}" for value, _, _ in scan.past)])
        return [f"def {function}({earlier}) -> tuple[{kind}, ...]:", *(f"    {line}" for line in lines), f"{name} = _scan({given})"]

    def _item(self, op: Op) -> Text:
        assert op.scan is not None and op.number is not None
        walked = next(i for i in op.axes if i not in op.scan.axes[int(op.number)])
        return Text(f"{self.names[op.args[0].value]}[{op.number}]", ATOM, (walked, *op.scan.axes[int(op.number)]))

    # ------------------------------------------------------------------------------------------------ elementwise

    def _map(self, op: Op) -> Text:
        if op.fn == "add":
            return self._with_ones(total([self._term(arg, op.axes) for arg in op.args], op.axes))
        if op.fn in ("mul", "power"):
            negative, text = self._product(op)
            return Text(f"-{text.at(MUL)}", MUL, text.axes, text.host) if negative else text
        if op.fn == "delta":
            return self._hot(op) or self._real(self._condition(op, "equal"), op.axes)
        if op.fn in CONDITIONS:
            return self._condition(op, op.fn)
        if op.fn == "real":
            return self._real(self._value(op.args[0]), op.axes)
        if op.fn == "where":
            return self._where(op)
        args = [aligned(self._value(arg), op.axes, self.spelling) for arg in op.args]
        if op.fn in self.spelling.fused:
            axis = op.axes.index(op.over[0])
            given = ", ".join(arg.code for arg in args)
            code = self.spelling.fused[op.fn].format(given, -1 if axis == len(op.axes) - 1 else axis)
            return Text(code, ATOM, op.axes, fresh=True, out=f"{code[:-1]}, out={{0}})")
        if op.out in self.host:
            table, texts = HOST_FUNCTIONS, [a.at(POW) if op.fn == "pow" else a.code for a in args]
        else:
            table, texts = self.spelling.functions, [a.code for a in args]
        name = op.fn
        if name in ("max", "min") and not all(a.host for a in args) and any(a.host for a in args):
            # The plain number goes second: torch has another spelling for it.
            name = f"{name} number"
            texts = [a.at(ATOM) if not a.host else a.code for a in sorted(args, key=lambda a: a.host)]
        if name not in table:
            raise NotImplementedError(f"no {self.spelling.module} spelling of the function {op.fn}")
        code = table[name].format(*texts)
        if len(args) == 1 and op.fn in self.spelling.unary:
            return Text(code, ATOM, op.axes, op.out in self.host, fresh=True, call=(table[name], args[0]))
        return Text(code, ATOM, op.axes, op.out in self.host, fresh=op.out not in self.host)

    def _condition(self, op: Op, fn: str) -> Text:
        """A comparison, or several that hold together: an array of truth values."""
        args = [aligned(self._value(arg), op.axes, self.spelling) for arg in op.args]
        host = all(arg.host for arg in args)
        if fn == "and":
            return Text(" & ".join(arg.at(ADD) for arg in args), TEST, op.axes, host)
        if args[0].host and not args[1].host:
            # The plain number goes second: x > 0, not 0 < x.
            fn, args = _MIRRORED[fn], args[::-1]
        return Text(f"{args[0].at(ADD)} {_SIGNS[fn]} {args[1].at(ADD)}", TEST, op.axes, host)

    def _real(self, text: Text, axes: tuple[Idx, ...]) -> Text:
        """Integers or truth values as real numbers."""
        if text.host:
            return Text(f"float({text.code})", ATOM, axes, True)
        return Text(self.spelling.real.format(text.at(ATOM), self.spelling.kind_of.format(self.like)), ATOM, text.axes)

    def _where(self, op: Op) -> Text:
        """A choice by a condition, between two values or between one and 0."""
        condition, *chosen = (aligned(self._value(arg), op.axes, self.spelling) for arg in op.args)
        yes, no = chosen if len(chosen) == 2 else (chosen[0], Text("0", host=True))
        if condition.host:
            # All or nothing: an array in any case.
            parts = [Text(f"{yes.at(MUL)} * ({condition.code})", MUL), Text(f"{no.at(MUL)} * (not ({condition.code}))", MUL)]
            return Text(" + ".join(part.code for part in parts[: len(chosen)]), ADD, op.axes)
        code = f"{self.spelling.module}.where({condition.code}, {yes.code}, {no.code})"
        if self.spelling.fill and no.host:
            return Text(code, ATOM, op.axes, choice=(yes, self.spelling.fill.format(no.code, condition.at(ATOM))))
        return Text(code, ATOM, op.axes)

    def _term(self, read: Read, axes: tuple[Idx, ...]) -> tuple[bool, Text]:
        """One term of a sum, its sign apart."""
        op = self.made.get(read.value)
        if op is not None and self._inlined(read.value):
            mapping = dict(zip(op.axes, read.axes))
            if op.kind == "number" and op.number is not None and op.number < 0:
                return True, number(-op.number)
            if op.kind == "map" and op.fn == "mul":
                negative, text = self._product(op)
                text = renamed(text, mapping)
                return negative, aligned(text, axes, self.spelling)
        return False, aligned(self._value(read), axes, self.spelling)

    def _product(self, op: Op) -> tuple[bool, Text]:
        coefficient, factors = self._factors(Read(op.out, op.axes), op.axes, True, Fraction(1))
        table = self.spelling.functions
        if coefficient == 1 and len(factors) == 1 and factors[0].below and not factors[0].text.host and "inverse" in table:
            name, text = "inverse", factors[0].text
            if op.fn == "power" and op.number == Fraction(-1, 2):
                name, text = "rsqrt", aligned(self._value(op.args[0]), op.axes, self.spelling)
            return False, Text(table[name].format(text.code), ATOM, op.axes, fresh=True)
        return product(coefficient, factors, op.axes)

    def _factors(self, read: Read, axes: tuple[Idx, ...], top: bool, exponent: Fraction) -> tuple[Fraction, list[Factor]]:
        """A product taken apart into a number and factors above and below the line, each aligned to `axes`."""
        op = self.made.get(read.value)
        if op is not None and (top or self._inlined(read.value)):
            if op.kind == "number" and op.number is not None and exponent.denominator == 1:
                return op.number ** int(exponent), []
            mapping = dict(zip(op.axes, read.axes))
            inner = [rename_read(arg, mapping) for arg in op.args]
            if op.kind == "map" and op.fn == "mul" and (set(read.axes) == set(axes) or not read.axes) and exponent in (1, -1):
                coefficient = Fraction(1)
                factors: list[Factor] = []
                for arg in inner:
                    number_part, found = self._factors(arg, axes, False, exponent)
                    coefficient *= number_part
                    factors += found
                return coefficient, factors
            if op.kind == "map" and op.fn == "power" and op.number is not None and exponent in (1, -1):
                power = op.number * exponent
                if power.denominator == 1 and abs(power) == 1:
                    return self._factors(inner[0], axes, False, power)
                text = self._power(self._value(inner[0]), abs(power))
                return Fraction(1), [Factor(aligned(text, axes, self.spelling), power < 0)]
        text = self._value(read)
        return Fraction(1), [Factor(aligned(text, axes, self.spelling), exponent < 0)]

    def _power(self, base: Text, exponent: Fraction) -> Text:
        """A positive power other than 1."""
        if exponent == Fraction(1, 2):
            root = "math.sqrt({0})" if base.host else self.spelling.functions["sqrt"]
            return Text(root.format(base.code), ATOM, base.axes, base.host)
        if exponent == 3 and base.level == ATOM and base.code.isidentifier() and not base.host:
            # NumPy's x**3 goes through pow(), hundreds of times slower than two products.
            return Text(f"{base.code} * {base.code} * {base.code}", MUL, base.axes)
        return Text(f"{base.at(ATOM)} ** {number(exponent).at(ATOM)}", POW, base.axes, base.host)

    def _hot(self, op: Op) -> Text | None:
        """The identity matrix, or one row with a single 1 for each label; None where positions are compared in another way."""
        kinds = [self.made[a.value].kind if a.value in self.made else "" for a in op.args]
        kind_of = self.spelling.kind_of.format(self.like)
        if kinds == ["position", "position"]:
            first, second = (arg.axes[0] for arg in op.args)
            if first.dim == second.dim:
                return Text(self.spelling.eye.format(self.sizes[first.dim], kind_of, self.like), ATOM, (first, second))
        for n in (0, 1):
            if kinds[n] == "position" and kinds[1 - n] != "position" and op.args[n].axes[0] not in op.args[1 - n].axes:
                labels = self._value(op.args[1 - n])
                if labels.host:
                    return None
                index = op.args[n].axes[0]
                code = self.spelling.one_hot.format(labels.code, self.sizes[index.dim], kind_of, self.like)
                return Text(code, ATOM, (*labels.axes, index), hot=labels.code if op.out in self.rows else "")
        return None

    def _with_ones(self, text: Text) -> Text:
        """A sum to which rows with a single 1 each are added where it stands, if that needs no statement of its own."""
        hot = [step for step in text.steps if step[1].hot and step[1].axes == text.axes]
        rest = [step for step in text.steps if step not in hot]
        if not hot or not self.spelling.added_at or self.spelling.in_place or {i for _, t in rest for i in t.axes} != set(text.axes):
            return text
        code = total([(sign == "-", term) for sign, term in rest], text.axes).code
        for sign, term in hot:
            code = self.spelling.added_at.format(code, term.hot, f"{sign}1".strip("+"))
        return Text(code, ATOM, text.axes, fresh=True)

    def _scattered(self, op: Op) -> Text | None:
        """The product with rows that hold a single 1 each, at their labels: what is multiplied is added up there, and the rows are never
        made. None for another contraction."""
        for arg, read in (op.args, op.args[::-1]):
            made = self.made.get(arg.value)
            rows = self._hot(made) if made is not None and made.fn == "delta" else None
            if made is None or rows is None or not rows.hot:
                continue
            mapping = dict(zip(made.axes, arg.axes))
            *named, index = (mapping[i] for i in rows.axes)
            values = self._value(read)
            if index not in op.axes or index in values.axes or not values.axes:
                continue
            kept = [i for i in named if i not in op.over]
            rest = [i for i in values.axes if i not in named]
            labels = Text(rows.hot, ATOM if rows.hot.isidentifier() else TEST, tuple(named))
            labels = permuted(labels, (*kept, *op.over), self.spelling)
            values = aligned(values, [i if i in values.axes else None for i in (*kept, *op.over, *rest)], self.spelling)
            code = f"_scatter({labels.code}, {values.code}, {self.sizes[index.dim]}, {len(kept)})"
            return Text(code, ATOM, (*kept, index, *rest), fresh=True)
        return None

    # ------------------------------------------------------------------------------------------------ layout

    def _gather(self, op: Op) -> Text:
        table = self._value(op.args[0])
        if len(op.over) == 1:
            labels = self._value(op.args[1])
            at = table.axes.index(op.over[0])
            rest = tuple(i for i in table.axes if i != op.over[0])
            if not set(labels.axes) & set(rest):
                code = f"{table.at(ATOM)}[{':, ' * at}{labels.code}]"
                return Text(code, ATOM, (*table.axes[:at], *labels.axes, *table.axes[at + 1 :]))
            if set(labels.axes) <= set(rest):
                index = aligned(labels, [i if i in labels.axes else None for i in table.axes], self.spelling)
                last = at == len(rest)
                code = self.spelling.take.format(table.code, index.code, -1 if last else at)
                if self.spelling.gather and set(labels.axes) == set(rest):
                    code = self.spelling.gather.format(table.at(ATOM), index.code, -1 if last else at)
                return Text(f"{code}[{'..., ' if len(rest) > 1 and last else ':, ' * at}0]", ATOM, rest, view=True)
            several = [i for i in labels.axes if i not in rest]
            if len(several) == 1:
                # Places for each entry of the axes that both have.
                shared = [i for i in rest if i in labels.axes]
                alone = [i for i in rest if i not in labels.axes]
                table = permuted(table, (*shared, *alone, op.over[0]), self.spelling)
                index = aligned(labels, [*shared, *([None] * len(alone)), *several], self.spelling)
                return Text(self.spelling.take.format(table.code, index.code, -1), ATOM, (*shared, *alone, *several))
        raise NotImplementedError(f"no kernel yet for reading {op.args[0].value} at {len(op.over)} integer arrays of mixed indices")

    def _matrix(self, op: Op) -> Text:
        """A function of the last two axes."""
        text = self._value(op.args[0])
        rest = tuple(i for i in text.axes if i not in op.over)
        text = permuted(text, (*rest, *op.over), self.spelling)
        return Text(self.spelling.functions[op.fn].format(text.code), ATOM, text.axes if op.fn == "inv" else rest)

    def _read(self, op: Op) -> Text:
        """Axes of the argument read at places along them."""
        text = self._value(op.args[0])
        axes: list[Idx] = []
        places = []
        for n, index in enumerate(text.axes):
            if index not in op.over:
                axes.append(index)
                continue
            multiples, rest = coefficients(op.at[op.over.index(index)].value)
            steps = [f"({self._whole(multiple)}, {self.sizes[i.dim]})" for i, multiple in multiples.items()]
            places.append(f"{n}: {tuple_of([self._whole(rest), *steps])}")
            axes += multiples
        return Text(f"_read({text.code}, {{{', '.join(places)}}})", ATOM, tuple(axes), view=True)

    def _placed(self, op: Op) -> Text:
        """Axes of the argument added up, each entry at its place along a new axis."""
        text = self._value(op.args[0])
        (along,) = (i for i in op.axes if i not in op.args[0].axes)
        multiples, rest = coefficients(op.at[0].value)
        axis = next((n for n, i in enumerate(text.axes) if i in multiples), len(text.axes))
        others = [i for i in text.axes if i not in multiples]
        text = permuted(text, [*others[:axis], *multiples, *others[axis:]], self.spelling)
        steps = [self._whole(part) for part in (rest, *multiples.values())]
        code = f"_place({text.code}, {axis}, {self.sizes[along.dim]}, {', '.join(steps)})"
        return Text(code, ATOM, (*others[:axis], along, *others[axis:]))

    def _whole(self, expr: Expr) -> str:
        """A whole number made of lengths and plain integers."""
        return whole(expr, self.sizes)

    def _diagonal(self, op: Op) -> Text:
        text = self._value(op.args[0])
        while len(set(text.axes)) < len(text.axes):
            index = next(i for i in text.axes if text.axes.count(i) > 1)
            first = text.axes.index(index)
            second = text.axes.index(index, first + 1)
            rest = tuple(i for n, i in enumerate(text.axes) if n not in (first, second))
            text = Text(self.spelling.diagonal.format(text.code, first, second), ATOM, (*rest, index), view=True)
        return text

    def _expand(self, op: Op) -> Text:
        """The argument along more axes, or as it stands; always a new array, so that no result shares memory with an input."""
        text = self._value(op.args[0])
        if set(text.axes) == set(op.axes) and not text.host:
            return Text(self.spelling.copy.format(permuted(text, op.axes, self.spelling).at(ATOM)), ATOM, op.axes)
        shape = tuple_of([self.sizes[i.dim] for i in op.axes])
        if text.host:
            kind_of = self.spelling.kind_of.format(self.like)
            return Text(self.spelling.full.format(shape, text.code, kind_of, self.like), ATOM, op.axes)
        source = aligned(text, op.axes, self.spelling)
        return Text(self.spelling.broadcast.format(source.at(ATOM), shape), ATOM, op.axes)
