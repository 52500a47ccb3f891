"""The index-notation IR: frozen nodes, free and bound indices, capture-free substitution.

The grammar, whole:

    Index = Idx(name, dim) | Ref                       a Ref here is an entry of an integer tensor, as in Z[i, y[i]]
    Expr  = Num(value) | Size(dim) | Ref(tensor, indices) | Delta(a, b)
          | Add(terms) | Mul(factors) | Pow(base, exponent) | Fn(name, args)
          | Sum(indices, body) | Max(indices, body) | Diff(body, wrt, through)
          | Position(index) | Iverson(relation, left, right)

Nodes are data. Build them with `add`, `mul`, `power`, `total`, which keep the author's order of factors, fold numbers and
flatten, and do nothing else: distributing, contracting and cancelling sums are rules, because a proof has to show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Union


@dataclass(frozen=True)
class Idx:
    """An index `name` that runs over the axis `dim`: i in 0 .. size(dim) - 1."""

    name: str
    dim: str


@dataclass(frozen=True)
class Num:
    """An exact rational number."""

    value: Fraction


@dataclass(frozen=True)
class Size:
    """The length of axis `dim`, as a real number."""

    dim: str


@dataclass(frozen=True)
class Ref:
    """An entry of a tensor: `X[i,k]`; rank 0 (`L[]`) is a scalar."""

    tensor: str
    indices: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Delta:
    """The Kronecker delta: 1 where both indices are equal, else 0."""

    a: Index
    b: Index


@dataclass(frozen=True)
class Add:
    terms: tuple[Expr, ...]


@dataclass(frozen=True)
class Mul:
    factors: tuple[Expr, ...]


@dataclass(frozen=True)
class Pow:
    """`base` to a rational power; a quotient is a factor with power -1, a square root has power 1/2."""

    base: Expr
    exponent: Fraction


@dataclass(frozen=True)
class Fn:
    """A scalar function applied to scalars: exp, log, tanh, ..."""

    name: str
    args: tuple[Expr, ...]


@dataclass(frozen=True)
class Sum:
    """The sum of `body` over every value of the bound `indices`."""

    indices: tuple[Idx, ...]
    body: Expr


@dataclass(frozen=True)
class Max:
    """The largest value of `body` over the bound `indices`."""

    indices: tuple[Idx, ...]
    body: Expr


@dataclass(frozen=True)
class Diff:
    """The derivative of `body` with respect to the entry `wrt`.

    `through` names the tensors that vary with it, each by its own definition; every other tensor is held fixed. So the direct
    derivative of an equation and the total derivative of a whole layer are the same node with another `through`.
    """

    body: Expr
    wrt: Ref
    through: tuple[str, ...] = ()


@dataclass(frozen=True)
class Position:
    """The value of an index as a real number: the position i itself, as in `i - j`."""

    index: "Index"


@dataclass(frozen=True)
class Iverson:
    """The Iverson bracket: 1 where `left relation right` holds, else 0; `relation` is one of RELATIONS."""

    relation: str
    left: "Expr"
    right: "Expr"


Index = Union[Idx, Ref]
Expr = Union[Num, Size, Ref, Delta, Add, Mul, Pow, Fn, Sum, Max, Diff, Position, Iverson]
RELATIONS = ("<", "<=", "==", "!=")
Reduction = (Sum, Max)


@dataclass(frozen=True)
class Equation:
    """`target = value`, for every value of the target's indices."""

    target: Ref
    value: Expr


@dataclass(frozen=True)
class Fact:
    """A declared hypothesis: `left = right` for every value of the free indices."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class Tensor:
    """A tensor's declaration: its axes in order, and its kind: `real`, `const` (real, not differentiated) or `int`.

    The entries of an integer tensor are values of an index over the axis `values`.
    """

    name: str
    dims: tuple[str, ...]
    kind: str = "real"
    values: str | None = None


ZERO = Num(Fraction(0))
ONE = Num(Fraction(1))


# ---------------------------------------------------------------------------------------------------- building


def num(value: int | Fraction) -> Num:
    return Num(Fraction(value))


def add(*terms: Expr) -> Expr:
    """The sum of `terms`, in order: flattened, its numbers folded into one."""
    flat: list[Expr] = []
    constant, position = Fraction(0), 0
    for term in terms:
        for part in term.terms if isinstance(term, Add) else (term,):
            if isinstance(part, Num):
                position = position if constant else len(flat)
                constant += part.value
            else:
                flat.append(part)
    if constant:
        flat.insert(position, Num(constant))
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Expr) -> Expr:
    """The product of `factors`, in order: flattened, its numbers folded in front, powers of one base joined."""
    constant = Fraction(1)
    powers: dict[Expr, Fraction] = {}
    for factor in factors:
        for part in factor.factors if isinstance(factor, Mul) else (factor,):
            if isinstance(part, Num):
                constant *= part.value
            else:
                base, exponent = (part.base, part.exponent) if isinstance(part, Pow) else (part, Fraction(1))
                powers[base] = powers.get(base, Fraction(0)) + exponent
    if not constant:
        return ZERO
    flat = [power(base, exponent) for base, exponent in powers.items() if exponent]
    if any(isinstance(part, (Num, Mul)) for part in flat):
        return mul(Num(constant), *flat)
    if constant != 1:
        flat.insert(0, Num(constant))
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def power(base: Expr, exponent: int | Fraction) -> Expr:
    """`base ** exponent`, with numbers folded where the result is rational."""
    exponent = Fraction(exponent)
    if exponent == 1:
        return base
    if exponent == 0:
        return ONE
    if isinstance(base, Num) and exponent.denominator == 1 and (base.value or exponent > 0):
        return Num(base.value ** int(exponent))
    if isinstance(base, (Delta, Iverson)) and exponent > 0:
        return base  # 0 and 1 are their own powers
    if isinstance(base, Num) and base.value > 0:
        root = _exact_root(base.value, exponent)
        if root is not None:
            return Num(root)
    if isinstance(base, Pow) and (exponent.denominator == 1 or isinstance(base.base, Size)):
        return power(base.base, base.exponent * exponent)
    if isinstance(base, Mul) and exponent.denominator == 1:
        return mul(*(power(factor, exponent) for factor in base.factors))
    return Pow(base, exponent)


def _exact_root(value: Fraction, exponent: Fraction) -> Fraction | None:
    raised = value**exponent.numerator
    parts = []
    for part in (raised.numerator, raised.denominator):
        root = round(part ** (1.0 / exponent.denominator))
        if root**exponent.denominator != part:
            return None
        parts.append(root)
    return Fraction(parts[0], parts[1])


def neg(expr: Expr) -> Expr:
    return mul(num(-1), expr)


def iverson(relation: str, left: Expr, right: Expr) -> Expr:
    """The bracket, decided at once where both sides are numbers or the same expression."""
    if isinstance(left, Num) and isinstance(right, Num):
        a, b = left.value, right.value
        return ONE if {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}[relation] else ZERO
    if left == right:
        return ONE if relation in ("<=", "==") else ZERO
    return Iverson(relation, left, right)


def opposite(bracket: Iverson) -> Expr:
    """The bracket that is 1 exactly where this one is 0."""
    if bracket.relation in ("==", "!="):
        return iverson("!=" if bracket.relation == "==" else "==", bracket.left, bracket.right)
    return iverson("<=" if bracket.relation == "<" else "<", bracket.right, bracket.left)


def total(indices: Iterable[Idx], body: Expr) -> Expr:
    """The sum of `body` over `indices`; with no index it is `body`."""
    bound = tuple(indices)
    return Sum(bound, body) if bound and body != ZERO else body


# ---------------------------------------------------------------------------------------------------- walking


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct subexpressions of a node (indices and the variable of a derivative are not among them)."""
    if isinstance(expr, Add):
        return expr.terms
    if isinstance(expr, Mul):
        return expr.factors
    if isinstance(expr, Pow):
        return (expr.base,)
    if isinstance(expr, Fn):
        return expr.args
    if isinstance(expr, (Sum, Max, Diff)):
        return (expr.body,)
    if isinstance(expr, Iverson):
        return (expr.left, expr.right)
    return ()


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same node over other children."""
    if isinstance(expr, Add):
        return add(*parts)
    if isinstance(expr, Mul):
        return mul(*parts)
    if isinstance(expr, Pow):
        return power(parts[0], expr.exponent)
    if isinstance(expr, Fn):
        return Fn(expr.name, parts)
    if isinstance(expr, Sum):
        return total(expr.indices, parts[0])
    if isinstance(expr, Max):
        return Max(expr.indices, parts[0])
    if isinstance(expr, Diff):
        return Diff(parts[0], expr.wrt, expr.through)
    if isinstance(expr, Iverson):
        return iverson(expr.relation, parts[0], parts[1])
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """Every subexpression, the whole first, in reading order."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def transform(expr: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """Rewrite top down: where `rule` answers, its answer stands and is not entered again; else the children are rewritten."""
    answer = rule(expr)
    if answer is not None:
        return answer
    parts = children(expr)
    if not parts:
        return expr
    new = tuple(transform(part, rule) for part in parts)
    if all(a is b for a, b in zip(new, parts)):
        return expr
    return rebuild(expr, new)


# ---------------------------------------------------------------------------------------------------- indices


def _index_indices(index: Index) -> tuple[Idx, ...]:
    if isinstance(index, Idx):
        return (index,)
    return tuple(i for inner in index.indices for i in _index_indices(inner))


@lru_cache(maxsize=65536)
def free_indices(expr: Expr) -> tuple[Idx, ...]:
    """The free indices of `expr`, each once, in order of first appearance."""
    found: dict[Idx, None] = {}
    if isinstance(expr, Ref):
        found.update(dict.fromkeys(i for index in expr.indices for i in _index_indices(index)))
    elif isinstance(expr, Delta):
        found.update(dict.fromkeys(_index_indices(expr.a) + _index_indices(expr.b)))
    elif isinstance(expr, Position):
        found.update(dict.fromkeys(_index_indices(expr.index)))
    else:
        for child in children(expr):
            found.update(dict.fromkeys(free_indices(child)))
        if isinstance(expr, Diff):
            found.update(dict.fromkeys(free_indices(expr.wrt)))
        if isinstance(expr, (Sum, Max)):
            for index in expr.indices:
                found.pop(index, None)
    return tuple(found)


def names(expr: Expr) -> set[str]:
    """Every index name in `expr`, free or bound."""
    found: set[str] = set()
    for node in walk(expr):
        if isinstance(node, (Sum, Max)):
            found.update(i.name for i in node.indices)
        elif isinstance(node, (Ref, Delta, Position)):
            found.update(i.name for i in free_indices(node))
        elif isinstance(node, Diff):
            found.update(i.name for i in free_indices(node.wrt))
    return found


def tensors_in(expr: Expr) -> tuple[str, ...]:
    """Every tensor `expr` mentions, each once, in order of first appearance (integer tensors inside indices as well)."""
    found: dict[str, None] = {}

    def visit(ref: Ref) -> None:
        found[ref.tensor] = None
        for index in ref.indices:
            if isinstance(index, Ref):
                visit(index)

    for node in walk(expr):
        if isinstance(node, Ref):
            visit(node)
        elif isinstance(node, Delta):
            for side in (node.a, node.b):
                if isinstance(side, Ref):
                    visit(side)
        elif isinstance(node, Position) and isinstance(node.index, Ref):
            visit(node.index)
        elif isinstance(node, Diff):
            visit(node.wrt)
    return tuple(found)


def fresh(index: Idx, taken: Iterable[str]) -> Idx:
    """`index` under a name not among `taken`: primes are added until it is new."""
    avoid = set(taken)
    name = index.name
    while name in avoid:
        name += "'"
    return Idx(name, index.dim)


def substitute(expr: Expr, mapping: Mapping[Idx, Index]) -> Expr:
    """Replace free indices, capture-free: a bound index that would catch a replacement is renamed first."""
    live = {old: new for old, new in mapping.items() if old != new}
    if not live:
        return expr
    return _substitute(expr, live)


def substitute_index(index: Index, mapping: Mapping[Idx, Index]) -> Index:
    if isinstance(index, Idx):
        return mapping.get(index, index)
    return Ref(index.tensor, tuple(substitute_index(i, mapping) for i in index.indices))


def _substitute(expr: Expr, mapping: Mapping[Idx, Index]) -> Expr:
    if isinstance(expr, Ref):
        return Ref(expr.tensor, tuple(substitute_index(i, mapping) for i in expr.indices))
    if isinstance(expr, Delta):
        return delta(substitute_index(expr.a, mapping), substitute_index(expr.b, mapping))
    if isinstance(expr, Position):
        return Position(substitute_index(expr.index, mapping))
    if isinstance(expr, (Sum, Max)):
        inner = {old: new for old, new in mapping.items() if old not in expr.indices}
        free = set(free_indices(expr.body))
        inner = {old: new for old, new in inner.items() if old in free}
        if not inner:
            return expr
        arriving = {i.name for new in inner.values() for i in _index_indices(new)}
        renamed: dict[Idx, Index] = {}
        bound = []
        for index in expr.indices:
            if index.name in arriving:
                other = fresh(index, arriving | names(expr.body) | {i.name for i in expr.indices})
                renamed[index] = other
                bound.append(other)
            else:
                bound.append(index)
        body = _substitute(expr.body, {**inner, **renamed})
        return total(bound, body) if isinstance(expr, Sum) else Max(tuple(bound), body)
    if isinstance(expr, Diff):
        wrt = _substitute(expr.wrt, mapping)
        assert isinstance(wrt, Ref)
        return Diff(_substitute(expr.body, mapping), wrt, expr.through)
    parts = children(expr)
    if not parts:
        return expr
    return rebuild(expr, tuple(_substitute(part, mapping) for part in parts))


def delta(a: Index, b: Index) -> Expr:
    """The Kronecker delta of two indices; of an index with itself it is 1."""
    return ONE if a == b else Delta(a, b)


def rename_apart(expr: Expr, taken: Iterable[str]) -> Expr:
    """The same value with every bound index renamed away from `taken` (and from every other index of the expression)."""
    avoid = set(taken)

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, (Sum, Max)):
            return None
        mapping: dict[Idx, Index] = {}
        bound = []
        for index in node.indices:
            other = fresh(index, avoid)
            avoid.add(other.name)
            mapping[index] = other
            bound.append(other)
        body = transform(substitute(node.body, mapping), rule)
        return Sum(tuple(bound), body) if isinstance(node, Sum) else Max(tuple(bound), body)

    return transform(expr, rule)


def instantiate(equation: Equation, ref: Ref, taken: Iterable[str] = ()) -> Expr:
    """The right-hand side of `equation` read at the entry `ref`, its bound indices renamed away from `taken`."""
    mapping: dict[Idx, Index] = {}
    for formal, actual in zip(equation.target.indices, ref.indices):
        assert isinstance(formal, Idx)
        mapping[formal] = actual
    arriving = {i.name for i in free_indices(ref)}
    # Two steps through names that cannot clash, so that a swap such as T[j,i] is simultaneous.
    return substitute(rename_apart(equation.value, set(taken) | arriving), mapping)


# ---------------------------------------------------------------------------------------------------- equality


@lru_cache(maxsize=65536)
def canonical(expr: Expr) -> Expr:
    """One representative of all expressions equal up to the order of terms and factors and the names of bound indices."""
    return _canonical(expr, 0)


def _canonical(expr: Expr, depth: int) -> Expr:
    if isinstance(expr, (Sum, Max)):
        # Bound indices are numbered by where they first stand once the body is sorted with them anonymous.
        anonymous: dict[Idx, Index] = {i: Idx(f"#{depth}", i.dim) for i in expr.indices}
        if len(expr.indices) == 1:
            mapping = {expr.indices[0]: Idx(f"#{depth}.0", expr.indices[0].dim)}
        else:
            ranked = sorted(expr.indices, key=lambda i: repr(_canonical(_substitute(expr.body, _lone(i, anonymous, depth)), depth + 1)))
            mapping = {index: Idx(f"#{depth}.{rank}", index.dim) for rank, index in enumerate(ranked)}
        body = _canonical(_substitute(expr.body, mapping), depth + 1)
        bound = tuple(sorted(mapping.values(), key=repr))
        return Sum(bound, body) if isinstance(expr, Sum) else Max(bound, body)
    parts = children(expr)
    if not parts:
        if isinstance(expr, Delta):
            first, second = sorted((expr.a, expr.b), key=repr)
            return Delta(first, second)
        return expr
    new = tuple(_canonical(part, depth) for part in parts)
    if isinstance(expr, Add):
        return Add(tuple(sorted(new, key=repr)))
    if isinstance(expr, Mul):
        return Mul(tuple(sorted(new, key=repr)))
    if isinstance(expr, Pow):
        return Pow(new[0], expr.exponent)
    if isinstance(expr, Iverson):
        if expr.relation in ("==", "!="):
            new = tuple(sorted(new, key=repr))
        return Iverson(expr.relation, new[0], new[1])
    return rebuild(expr, new)


def _lone(index: Idx, anonymous: Mapping[Idx, Index], depth: int) -> dict[Idx, Index]:
    return {**anonymous, index: Idx(f"#{depth}!", index.dim)}


def equal(a: Expr, b: Expr) -> bool:
    """Equal up to the order of terms and factors and the names of bound indices (not up to algebra)."""
    return a == b or canonical(a) == canonical(b)


# ---------------------------------------------------------------------------------------------------- printing


def show(expr: Expr) -> str:
    """Plain one-line notation, for messages and debugging; `derive.render` prints for people."""
    return _show(expr, 0)


def show_index(index: Index) -> str:
    return index.name if isinstance(index, Idx) else show(index)


def _show(expr: Expr, level: int) -> str:
    if isinstance(expr, Num):
        text = str(expr.value)
        return f"({text})" if level > 1 and ("/" in text or text.startswith("-")) else text
    if isinstance(expr, Size):
        return f"size({expr.dim})"
    if isinstance(expr, Ref):
        return expr.tensor + (f"[{','.join(show_index(i) for i in expr.indices)}]" if expr.indices else "")
    if isinstance(expr, Delta):
        return f"delta({show_index(expr.a)},{show_index(expr.b)})"
    if isinstance(expr, Add):
        text = " + ".join(_show(t, 1) for t in expr.terms).replace("+ -", "- ")
        return f"({text})" if level > 1 else text
    if isinstance(expr, Mul):
        if expr.factors[0] == Num(Fraction(-1)):
            return "-" + _show(Mul(expr.factors[1:]) if len(expr.factors) > 2 else expr.factors[1], 2)
        text = "*".join(_show(f, 2) for f in expr.factors)
        return f"({text})" if level > 2 else text
    if isinstance(expr, Pow):
        return f"{_show(expr.base, 3)}^{expr.exponent if expr.exponent.denominator == 1 else f'({expr.exponent})'}"
    if isinstance(expr, Fn):
        return f"{expr.name}({', '.join(_show(a, 0) for a in expr.args)})"
    if isinstance(expr, Position):
        return show_index(expr.index)
    if isinstance(expr, Iverson):
        return f"[{_show(expr.left, 0)} {expr.relation} {_show(expr.right, 0)}]"
    if isinstance(expr, (Sum, Max)):
        name = "sum" if isinstance(expr, Sum) else "max"
        return f"{name}({','.join(i.name for i in expr.indices)}, {_show(expr.body, 0)})"
    return f"d({_show(expr.body, 0)})/d({_show(expr.wrt, 0)})"
