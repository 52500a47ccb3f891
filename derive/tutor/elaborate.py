"""From a formula as written to index notation: every array gets its axes, every product its contraction, or a message with the shapes.

Arrays broadcast as in NumPy. A vector is a column where matrix notation needs one: `z^T` is a row, `x x^T` an outer product.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction

from derive.affine import NotLinear, place
from derive.conditions import choose, compare
from derive.errors import listing, near
from derive.expr import ONE, Delta, Expr, Fn, Idx, Index, MatrixFn, Num, Position, Ref, Size, add, delta, mul, neg, power, total
from derive.indices import free_indices, substitute
from derive.tutor.tree import Node, Unreadable
from derive.tutor.tree import walk as tree_walk
from derive.tutor.values import Axis, Value, Vocabulary, shape

ONES = ("𝟏", "ones")
PLAIN = ("exp", "log", "tanh", "erf", "sigmoid", "relu", "abs", "sign", "softplus", "sin", "cos")


class Elaborator:
    """One formula: the axes of its named indices, and fresh names for the others."""

    def __init__(self, words: Vocabulary) -> None:
        self.words = words
        self.axis_of: dict[str, str] = {}
        self.bound: list[str] = []
        self.counter = itertools.count(1)

    def fresh(self, dim: str) -> Idx:
        return Idx(f"{dim}#{next(self.counter)}", dim)

    def index_named(self, name: str, dim: str, at: int) -> Idx:
        known = self.axis_of.setdefault(name, dim)
        if known != dim:
            raise Unreadable(f"the index {name} runs over {known} elsewhere and over {dim} here", at, True)
        taken = any(index.name == name for index in self.words.batch)
        return Idx(f"{name}~" if taken else name, dim)

    # ------------------------------------------------------------------------------------------------ nodes

    def value(self, node: Node) -> Value:
        found: Value = getattr(self, f"_{node.kind}")(node)
        return found

    def _num(self, node: Node) -> Value:
        return Value((), Num(node.value))

    def resolve(self, name: str) -> str:
        return self.words.aliases.get(name, name) if name not in self.words.tensors else name

    def _name(self, node: Node) -> Value:
        name = self.resolve(node.value)
        if name in self.words.tensors:
            axes = tuple(self.fresh(dim) for dim in self.words.dims(name))
            return Value(axes, self.ref(name, axes))
        if name in ONES:
            return Value((None,), ONE, "column")
        if name in self.words.sizes:
            return Value((), Size(name))
        if name == "pi":
            return Value((), Fn("pi", ()))
        if name in self.axis_of:
            return Value((), Position(self.index_named(name, self.axis_of[name], node.at)))
        raise self.unknown(name, node.at)

    def unknown(self, name: str, at: int) -> Unreadable:
        known = sorted(self.words.tensors)
        nudge = self.words.nudges.get(name, "")
        return Unreadable(
            f"there is no {name} here{nudge or near(name, [*known, *self.words.sizes])}; expected one of {listing(known)}", at
        )

    def ref(self, name: str, indices: tuple[Index, ...]) -> Expr:
        tensor = self.words.tensors[name]
        ref = Ref(self.words.internal.get(name, name), (*self.words.leading(name), *indices))
        return Position(ref) if tensor.kind == "int" and tensor.values is not None else ref

    def _entry(self, node: Node) -> Value:
        name = self.resolve(node.value)
        if name not in self.words.tensors:
            raise self.unknown(name, node.at)
        return Value((), self.ref(name, self.places(name, node)))

    def places(self, name: str, node: Node) -> tuple[Index, ...]:
        dims, parts = self.words.dims(name), node.parts
        lead = self.words.leading(name)
        if lead and len(parts) == len(dims) + len(lead) and [part.value for part in parts[: len(lead)]] == [index.name for index in lead]:
            parts = parts[len(lead) :]
        if len(parts) != len(dims):
            raise Unreadable(f"{name} has {len(dims)} axes ({', '.join(dims) or 'it is a number'}), not {len(parts)}", node.at, True)
        return tuple(self.place(part, dim) for part, dim in zip(parts, dims))

    def place(self, part: Node, dim: str) -> Index:
        if part.kind == "entry":
            name = self.resolve(part.value)
            if name not in self.words.tensors or self.words.tensors[name].values is None:
                raise Unreadable(f"{part.value} is no integer tensor, so it cannot stand as an index", part.at)
            if self.words.tensors[name].values != dim:
                raise Unreadable(f"{part.value} numbers {self.words.tensors[name].values}, and {dim} is wanted here", part.at, True)
            return Ref(name, (*self.words.leading(name), *self.places(name, part)))
        if part.kind == "name":
            return self.index_named(part.value, dim, part.at)
        try:
            return place(self.counted(part, self.alone(part, dim)), dim)
        except NotLinear as error:
            raise Unreadable(f"a place is a sum of whole multiples of indices and lengths; {error}", part.at) from None

    def alone(self, part: Node, dim: str) -> str | None:
        """The axis of the indices of a place of which nothing else says what they run over: its own, where there is one alone."""
        names = {inner.value for inner in tree_walk(part) if inner.kind == "name"}
        unknown = [name for name in names if name not in self.axis_of and name not in self.words.sizes and name not in self.words.tensors]
        return dim if len(unknown) == 1 else None

    def counted(self, part: Node, dim: str | None) -> Expr:
        """A place as arithmetic on positions."""
        if part.kind == "num":
            return Num(part.value)
        if part.kind in ("add", "times"):
            parts = [self.counted(inner, dim) for inner in part.parts]
            return add(*parts) if part.kind == "add" else mul(*parts)
        if part.kind == "negative":
            return neg(self.counted(part.parts[0], dim))
        if part.kind == "name" and part.value not in self.axis_of:
            tensor = self.words.tensors.get(self.resolve(part.value))
            if tensor is not None and tensor.is_plain_integer:
                return Position(Ref(tensor.name))
            if part.value in self.words.sizes:
                return Size(part.value)
            if dim is None:
                raise Unreadable(f"nothing says what the index {part.value} runs over; write an entry that is read at it alone", part.at)
        if part.kind == "name":
            return Position(self.index_named(part.value, self.axis_of.get(part.value, dim or ""), part.at))
        value = self.value(part)
        if value.axes or not isinstance(value.entry, Size):
            raise Unreadable("expected an index or a place, as in X[i,k] or X[2*i - 1,k]", part.at)
        return value.entry

    # ------------------------------------------------------------------------------------------------ entry by entry

    def broadcast(self, values: list[Value], node: Node, make: Callable[[list[Expr]], Expr]) -> Value:
        rank = max(len(value.axes) for value in values)
        axes: list[Axis] = [None] * rank
        for value in values:
            for n, axis in enumerate(value.axes, start=rank - len(value.axes)):
                have = axes[n]
                if have is not None and axis is not None and have.dim != axis.dim:
                    raise self.clash(values, node)
                axes[n] = have or axis
        entries = []
        for value in values:
            offset = rank - len(value.axes)
            renamed = {axis: axes[n] for n, axis in enumerate(value.axes, start=offset) if axis is not None}
            entries.append(substitute(value.entry, {old: new for old, new in renamed.items() if new is not None}))
        return Value(tuple(axes), make(entries))

    def clash(self, values: list[Value], node: Node) -> Unreadable:
        shapes = " and ".join(shape(value) for value in values)
        hint = ""
        vectors = [value for value in values if len(value.axes) == 1]
        tables = [value for value in values if len(value.axes) == 2]
        if vectors and tables and vectors[0].axes[0] is not None and tables[0].axes[0] is not None:
            if vectors[0].axes[0].dim == tables[0].axes[0].dim:
                hint = "; a vector with an entry for each row is a column: write v[:, None] or v 1^T"
        elif node.kind == "times":
            hint = "; a product of matrices is @ or a blank"
        return Unreadable(f"shapes {shapes} do not fit entry by entry{hint}", node.at, True)

    def _add(self, node: Node) -> Value:
        return self.broadcast([self.value(part) for part in node.parts], node, lambda terms: add(*terms))

    def _negative(self, node: Node) -> Value:
        value = self.value(node.parts[0])
        return Value(value.axes, neg(value.entry), value.ones)

    def _times(self, node: Node) -> Value:
        return self.broadcast([self.value(part) for part in node.parts], node, lambda factors: mul(*factors))

    def _divide(self, node: Node) -> Value:
        top, bottom = (self.value(part) for part in node.parts)
        self.check_zero(bottom, node)
        return self.broadcast([top, bottom], node, lambda e: mul(e[0], power(e[1], -1)))

    def check_zero(self, value: Value, node: Node) -> None:
        if isinstance(value.entry, Num) and not value.entry.value:
            raise Unreadable("this divides by zero", node.at)

    def _power(self, node: Node) -> Value:
        base = self.value(node.parts[0])
        exponent: Fraction = node.value
        if exponent < 0:
            self.check_zero(base, node)
        real = [axis for axis in base.axes if axis is not None]
        if exponent == -1 and len(real) == 2 and real[0].dim == real[1].dim:
            return self.inverse(base, node)
        return Value(base.axes, power(base.entry, exponent))

    def _compare(self, node: Node) -> Value:
        values = [self.value(part) for part in node.parts]
        return self.broadcast(values, node, lambda e: compare(node.value, e[0], e[1]))

    # ------------------------------------------------------------------------------------------------ matrices

    def _transpose(self, node: Node) -> Value:
        part = node.parts[0]
        if part.kind == "num" and part.value == 1:
            return Value((None,), ONE, "row")
        value = self.value(part)
        if value.ones:
            return Value((None,), ONE, "row" if value.ones == "column" else "column")
        if len(value.axes) == 1 and node.value == "T":
            return Value((None, value.axes[0]), value.entry)
        if len(value.axes) > 2:
            raise Unreadable(f"{shape(value)} has more than two axes; write its indices, as in X[i,j,k]", node.at, True)
        return Value(value.axes[::-1], value.entry)

    def _product(self, node: Node) -> Value:
        result = self.value(node.parts[0])
        for part in node.parts[1:]:
            result = self.multiply(result, self.value(part), node)
        return result

    def multiply(self, a: Value, b: Value, node: Node) -> Value:
        if a.ones or b.ones:
            return self.with_ones(a, b, node)
        if not a.dims or not b.dims:
            if not a.dims and len(a.axes) <= len(b.axes) or not b.axes:
                return self.broadcast([a, b], node, lambda e: mul(*e))
            if not b.dims:
                return Value(a.axes, mul(a.entry, b.entry))
            return Value(b.axes, mul(a.entry, b.entry))
        if len(a.axes) > 2 or len(b.axes) > 2:
            raise Unreadable("a product of more than two axes; write its indices, or einsum('...->...', A, B)", node.at, True)
        if a.axes[-1] is None or len(a.axes) == 1 and len(b.axes) == 2 and b.axes[0] is None:
            if len(b.axes) == 2 and b.axes[0] is None:
                return Value((a.axes[0], b.axes[1]), mul(a.entry, b.entry))
            raise self.no_product(a, b, node)
        inner, other = a.axes[-1], b.axes[0]
        if inner is None or other is None or inner.dim != other.dim:
            raise self.no_product(a, b, node)
        entry = total((inner,), mul(a.entry, substitute(b.entry, {other: inner})))
        return Value((*a.axes[:-1], *b.axes[1:]), entry)

    def no_product(self, a: Value, b: Value, node: Node) -> Unreadable:
        return Unreadable(f"no matrix product of {shape(a)} and {shape(b)}", node.at, True)

    def with_ones(self, a: Value, b: Value, node: Node) -> Value:
        if a.ones == "row" and not b.ones and b.axes and b.axes[0] is not None:
            return Value((None, *b.axes[1:]), total((b.axes[0],), b.entry))
        if b.ones == "column" and not a.ones and a.axes and a.axes[-1] is not None:
            return Value((*a.axes[:-1], None), total((a.axes[-1],), a.entry))
        if b.ones == "row" and not a.ones and (len(a.axes) == 1 or len(a.axes) == 2 and a.axes[1] is None):
            return Value((a.axes[0], None), a.entry)
        if a.ones == "column" and not b.ones and (len(b.axes) == 1 or len(b.axes) == 2 and b.axes[0] is None):
            return Value((None, b.axes[-1]), b.entry)
        if a.ones and not b.dims or b.ones and not a.dims:
            return Value((None,), mul(a.entry, b.entry), a.ones or b.ones)
        raise Unreadable("this product with a vector of ones has no shape; sums are rowsum(A), colsum(A) or A.sum(0)", node.at, True)

    def inverse(self, base: Value, node: Node) -> Value:
        first, second = (axis for axis in base.axes if axis is not None)
        if first.dim != second.dim:
            raise Unreadable(f"the inverse of {shape(base)}, which is not square", node.at, True)
        row, column = self.fresh(first.dim), self.fresh(first.dim)
        return Value((row, column), MatrixFn("inv", (first, second), base.entry, (row, column)))

    # ------------------------------------------------------------------------------------------------ sums

    def _reduce(self, node: Node) -> Value:
        how, axes, keep = node.value
        value = self.value(node.parts[0])
        rank = len(value.axes)
        chosen = range(rank) if axes is None else [axis + rank if axis < 0 else axis for axis in axes]
        if any(not 0 <= axis < rank for axis in chosen):
            raise Unreadable(f"{shape(value)} has no axis {axes[0]}; axes are counted from 0", node.at, True)
        indices = tuple(axis for n in chosen if (axis := value.axes[n]) is not None)
        entry = total(indices, value.entry)
        if how == "mean":
            entry = mul(entry, *(power(Size(index.dim), -1) for index in indices))
        rest = tuple(None if n in chosen else axis for n, axis in enumerate(value.axes) if keep or n not in chosen)
        return Value(rest, entry)

    def _reshape(self, node: Node) -> Value:
        value = self.value(node.parts[0])
        left = list(value.axes)
        axes: list[Axis] = []
        for kept in node.value:
            if kept and not left:
                raise Unreadable(f"{shape(value)} has fewer axes than this", node.at, True)
            axes.append(left.pop(0) if kept else None)
        return Value((*axes, *left), value.entry)

    def _over(self, node: Node) -> Value:
        for name in node.value:
            if name in self.bound:
                raise Unreadable(f"the index {name} is summed twice, one sum inside the other; rename one of them", node.at)
        if len(set(node.value)) < len(node.value):
            raise Unreadable("an index is summed twice here", node.at)
        self.bound += node.value
        body = self.value(node.parts[0])
        del self.bound[len(self.bound) - len(node.value) :]
        free = {index.name.removesuffix("~"): index for index in free_indices(body.entry)}
        for name in node.value:
            if name not in free and name not in self.axis_of:
                raise Unreadable(f"the sum runs over {name}, which is not in what it adds", node.at)
        indices = tuple(free.get(name) or Idx(name, self.axis_of[name]) for name in node.value)
        return Value(body.axes, total(indices, body.entry))

    def _einsum(self, node: Node) -> Value:
        inputs, arrow, output = node.value.partition("->")
        words = inputs.split(",")
        if not arrow:
            output = "".join(sorted(letter for letter in {*inputs} - {","} if inputs.count(letter) == 1))
        if len(words) != len(node.parts) or not all(word.isalpha() or not word for word in (*words, output)):
            raise Unreadable(f"einsum '{node.value}' has {len(words)} operands, {len(node.parts)} are given", node.at)
        known: dict[str, Idx] = {}
        factors = []
        for word, part in zip(words, node.parts):
            value = self.value(part)
            if len(word) != len(value.axes) or None in value.axes:
                raise Unreadable(f"einsum reads {word!r}, and this is {shape(value)}", part.at, True)
            renamed: dict[Idx, Index] = {}
            for letter, axis in zip(word, value.axes):
                assert axis is not None
                index = known.setdefault(letter, self.fresh(axis.dim))
                if index.dim != axis.dim:
                    raise Unreadable(f"einsum's {letter} runs over {index.dim} and over {axis.dim}", part.at, True)
                renamed[axis] = index
            factors.append(substitute(value.entry, renamed))
        missing = [letter for letter in output if letter not in known]
        if missing or len(set(output)) < len(output):
            raise Unreadable(f"einsum's output '{output}' has to name indices of its operands, each once", node.at)
        summed = tuple(index for letter, index in known.items() if letter not in output)
        return Value(tuple(known[letter] for letter in output), total(summed, mul(*factors)))

    def _size(self, node: Node) -> Value:
        value = self.value(node.parts[0])
        if node.value is None or not -len(value.axes) <= node.value < len(value.axes):
            raise Unreadable(f"expected one of the {len(value.axes)} axes of {shape(value)}, as in .shape[0]", node.at, True)
        axis = value.axes[node.value]
        return Value((), ONE if axis is None else Size(axis.dim))

    # ------------------------------------------------------------------------------------------------ functions

    def _call(self, node: Node) -> Value:
        name = node.value
        if name in ("delta", "size", "onehot"):
            return self._of_indices(node)
        values = [self.value(part) for part in (node.parts[:1] if name == "inv" else node.parts)]
        first = values[0]
        if name in PLAIN:
            return Value(first.axes, Fn(name, (first.entry,)))
        if name in ("maximum", "minimum"):
            return self.broadcast(values, node, lambda e: Fn(name[:3], tuple(e)))
        if name == "where":
            return self.broadcast(values, node, lambda e: choose(*e))
        if name in ("ones_like", "zeros_like"):
            return Value(first.axes, Num(Fraction(name == "ones_like")))
        if name == "outer":
            row = Value((None, *values[1].axes), values[1].entry)
            return self.broadcast([Value((*first.axes, None), first.entry), row], node, lambda e: mul(*e))
        if name == "softmax":
            last = first.axes[-1] if first.axes else None
            if last is None:
                raise Unreadable(f"softmax of {shape(first)}", node.at, True)
            other = self.fresh(last.dim)
            below = total((other,), Fn("exp", (substitute(first.entry, {last: other}),)))
            return Value(first.axes, mul(Fn("exp", (first.entry,)), power(below, -1)))
        if name == "diag" and len(first.axes) == 1 and first.axes[0] is not None:
            other = self.fresh(first.axes[0].dim)
            return Value((first.axes[0], other), mul(delta(first.axes[0], other), first.entry))
        if len(first.axes) != 2 or None in first.axes or len(set(first.dims)) != 1:
            raise Unreadable(f"{name} of {shape(first)}; it takes a square matrix", node.at, True)
        row_index, column = (axis for axis in first.axes if axis is not None)
        if name == "inv":
            whole = self.inverse(first, node)
            if len(node.parts) == 1:
                return whole
            found = dict(zip((axis for axis in whole.axes if axis is not None), (self.place(p, row_index.dim) for p in node.parts[1:])))
            return Value((), substitute(whole.entry, found))
        if name == "det":
            return Value((), MatrixFn("det", (row_index, column), first.entry))
        diagonal = substitute(first.entry, {column: row_index})
        return Value((row_index,), diagonal) if name == "diag" else Value((), total((row_index,), diagonal))

    def _of_indices(self, node: Node) -> Value:
        name, part = node.value, node.parts[0]
        if name == "size":
            known = self.axis_of.get(str(part.value)) if part.kind == "name" else None
            if known is None and part.kind == "name" and part.value in self.words.sizes:
                known = part.value
            if known is None:
                raise Unreadable("expected an index or an axis, as in size(k)", part.at)
            return Value((), Size(known))
        if name == "onehot":
            tensor = self.words.tensors.get(str(part.value)) if part.kind == "name" else None
            if tensor is None or tensor.values is None:
                raise Unreadable("onehot takes a tensor of labels", part.at)
            axes = tuple(self.fresh(dim) for dim in self.words.dims(tensor.name))
            last = self.fresh(tensor.values)
            return Value((*axes, last), Delta(Ref(tensor.name, (*self.words.leading(tensor.name), *axes)), last))
        dims = [self.dim_of(part) for part in node.parts]
        dim = dims[0] or dims[1]
        if dim is None or None not in dims and dims[0] != dims[1]:
            raise Unreadable("delta compares two indices of one axis, as in delta(i,j)", node.at, True)
        first, second = (self.place(part, dim) for part in node.parts)
        return Value((), delta(first, second))

    def dim_of(self, part: Node) -> str | None:
        if part.kind == "entry" and part.value in self.words.tensors:
            return self.words.tensors[part.value].values
        return self.axis_of.get(str(part.value))


def renamed(expr: Expr, mapping: Mapping[Idx, Idx]) -> Expr:
    return substitute(expr, dict(mapping))
