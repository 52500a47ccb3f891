"""From a spec as it was read to typed equations: every index gets its axis, every tensor its shape.

Axes are classes of places: each position of each tensor is one place, each index another, and an index that stands at a
position joins the two. A class is named by a declaration, else after its first index in capitals.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from derive.affine import NotLinear, coefficients
from derive.affine import place as place_along
from derive.errors import SpecError, listing, near
from derive.expr import (
    Affine,
    Delta,
    Equation,
    Expr,
    Fact,
    Idx,
    Index,
    Iverson,
    Length,
    MatrixFn,
    Max,
    Position,
    Ref,
    Size,
    Sum,
    Tensor,
    children,
    delta,
    iverson,
    rebuild,
    transform,
    walk,
)
from derive.indices import free_indices, names, refs, substitute, tensors_in
from derive.parse import OPEN, Raw
from derive.validate import Spec, check, check_conditions, check_lengths, check_names, check_sizes, check_used, integer_tensors
from derive.write import write, write_index

Place = tuple[str, ...]


def resolve(raw: Raw, fragment: bool = False) -> tuple[Spec, dict[str, Tensor], tuple[str, ...]]:
    """The typed equations and facts, every tensor by name, and the outputs. Raises SpecError for whatever is wrong with them.

    A `fragment` is to be joined to equations that know the lengths of its axes.
    """
    spec = _settle(raw)
    check(spec, raw.dims)
    _check_batch(spec, raw)
    targets = spec.targets
    outputs = tuple(raw.outputs) if raw.outputs is not None else targets[-1:]
    for name in outputs:
        if name not in targets:
            raise SpecError(
                f"{raw.layer}: the output {name} is defined by no equation{near(name, targets)}; defined are {listing(targets)}"
            )
    check_names(spec, {*raw.kinds, *raw.dims, *(raw.inputs or ()), *(raw.wrt or ())})
    check_used(spec, outputs)
    _check_facts(spec)
    axes = _Axes(spec, raw)
    tensors = {name: axes.tensor(name, rank) for name, rank in _ranks(spec).items()}
    typed = Spec(
        raw.layer,
        tuple(axes.plainly(Equation(axes.ref(e.target), axes.expr(e.value))) for e in spec.equations),
        spec.texts,
        tuple(Fact(axes.expr(f.left), axes.expr(f.right)) for f in spec.facts),
        tuple(Length(axes.named(length.dim), axes.expr(length.value)) for length in spec.lengths),
    )
    check_conditions(typed)
    if not fragment:
        check_lengths(typed, tensors)
        check_sizes(typed, {dim for name in typed.inputs for dim in tensors[name].dims} | {length.dim for length in typed.lengths})
    return typed, tensors, outputs


# ---------------------------------------------------------------------------------------------------- names


def _settle(raw: Raw) -> Spec:
    """Decide what each bare name is: a scalar tensor, the length of a declared axis, or an index out of place."""
    spec = Spec(raw.layer, tuple(raw.equations), tuple(raw.texts), tuple(raw.facts), tuple(Length(*each) for each in raw.lengths))
    for name in dict.fromkeys(ref.tensor for length in spec.lengths for ref in refs(length.value) if not ref.indices):
        if name not in {*raw.axes.values(), *raw.axes, *(axis for dims in raw.dims.values() for axis in dims)}:
            raw.kinds.setdefault(name, "int")  # what a length is made of beside lengths are plain integers
    scalars = {e.target.tensor for e in spec.equations if not e.target.indices} | set(raw.dims) | set(raw.kinds)
    sizes = {*raw.axes.values(), *(axis for dims in raw.dims.values() for axis in dims), *raw.values.values()}
    indices = {name for e in spec.equations for name in names(e.value) | names(e.target)}
    integers = integer_tensors(spec.equations) | {name for name, kind in raw.kinds.items() if kind == "int"}
    indices |= {name for f in spec.facts for name in names(f.left) | names(f.right)}

    def settled_index(index: Index, error: str) -> Index:
        if isinstance(index, Affine):
            return Affine(settled(index.value, error, True), index.dim)
        return Ref(index.tensor, tuple(settled_index(i, error) for i in index.indices)) if isinstance(index, Ref) else index

    def settled(expr: Expr, error: str, compared: bool = False) -> Expr:
        def rule(node: Expr) -> Expr | None:
            if isinstance(node, Delta):
                return Delta(settled_index(node.a, error), settled_index(node.b, error))
            if isinstance(node, Position) and isinstance(node.index, Idx) and node.index.name in integers:
                return Position(Ref(node.index.name))
            if isinstance(node, Position) and isinstance(node.index, Idx) and node.index.name in sizes:
                return Size(node.index.name)
            if isinstance(node, Ref) and node.indices:
                ref = Ref(node.tensor, tuple(settled_index(i, error) for i in node.indices))
                return Position(ref) if compared and node.tensor in integers else ref
            if isinstance(node, Iverson):
                return iverson(node.relation, settled(node.left, error, True), settled(node.right, error, True))
            if compared and isinstance(node, Ref) and node.tensor in integers:
                return Position(node)
            if isinstance(node, Ref) and not node.indices and node.tensor not in scalars:
                if node.tensor in sizes:
                    return Size(node.tensor)
                if node.tensor in indices and compared:
                    return Position(Idx(node.tensor, OPEN))
                if node.tensor in indices:
                    i = node.tensor
                    what = f"write position({i}) for its value, size({i}) for the length of its axis, or name the scalar otherwise"
                    raise SpecError(f"{error}the index {i} stands as a number; {what}")
            if isinstance(node, Size) and node.dim not in indices and node.dim not in sizes and node.dim not in raw.axes:
                raise SpecError(f"{error}size({node.dim}) asks for the axis of an index that is nowhere{near(node.dim, indices)}")
            return None

        return transform(expr, rule)

    equations = []
    for number, equation in enumerate(spec.equations):
        prefix = str(spec.error(number, ""))
        equations.append(Equation(equation.target, settled(equation.value, prefix)))
    facts = []
    for fact in spec.facts:
        prefix = f"{raw.layer}: fact `{write(fact)}`: "
        facts.append(Fact(settled(fact.left, prefix), settled(fact.right, prefix)))
    lengths = []
    for length in spec.lengths:
        lengths.append(Length(length.dim, settled(length.value, f"{raw.layer}: the length of {length.dim}: ", True)))
    return replace(spec, equations=tuple(equations), facts=tuple(facts), lengths=tuple(lengths))


def _check_batch(spec: Spec, raw: Raw) -> None:
    batch = [index.name for index in raw.batch]
    if len(set(batch)) < len(batch):
        raise SpecError(f"{raw.layer}: the batch names an index twice: {listing(batch)}")
    for number, equation in enumerate(spec.equations):
        for name in sorted(names(equation.target) | names(equation.value)):
            if name in batch:
                raise spec.error(
                    number, f"{name} is a batch index, which leads every tensor already; leave it out, the equations are for one example"
                )


def _check_facts(spec: Spec) -> None:
    for fact in spec.facts:
        where = f"{spec.layer}: fact `{write(fact)}`: "
        for name in dict.fromkeys(tensors_in(fact.left) + tensors_in(fact.right)):
            if name in spec.targets:
                raise SpecError(f"{where}{name} is computed by an equation; a fact is a hypothesis about inputs, {listing(spec.inputs)}")
            if name not in spec.inputs:
                raise SpecError(f"{where}{name} is in no equation{near(name, spec.inputs)}")
        left, right = set(free_indices(fact.left)), set(free_indices(fact.right))
        # A fact may be constant along an index, as in sum(j, T[i,j]) = 1.
        bound = {i for side in (fact.left, fact.right) for node in walk(side) if isinstance(node, (Sum, Max)) for i in node.indices}
        for index in sorted((left | right) & bound, key=lambda i: i.name):
            raise SpecError(f"{where}index {index.name} is bound by a sum and stands outside it too; use another index")


def _ranks(spec: Spec) -> dict[str, int]:
    values = [*(side for e in spec.equations for side in (e.target, e.value)), *(length.value for length in spec.lengths)]
    return {ref.tensor: len(ref.indices) for value in values for ref in refs(value)}


# ---------------------------------------------------------------------------------------------------- axes


class _Axes:
    """The classes of places, and the name of each."""

    def __init__(self, spec: Spec, raw: Raw) -> None:
        self.spec = spec
        self.raw = raw
        self.parent: dict[Place, Place] = {}
        self.declared: dict[Place, str] = {}
        self.integers = integer_tensors(spec.equations) | {name for name, kind in raw.kinds.items() if kind == "int"}
        self.order: list[str] = []  # indices, by first appearance
        self.letters: dict[str, str] = {}  # letters in use for unnamed rows and columns, with their axes
        labels = {*integer_tensors(spec.equations), *raw.values}
        ranks = _ranks(spec)
        self.plain = {name for name in self.integers if name not in labels and not raw.dims.get(name) and not ranks.get(name)}
        for index, axis in raw.axes.items():
            self._declare(("index", index), axis)
        for tensor, dims in raw.dims.items():
            for place, axis in enumerate(dims):
                self._declare(("axis", tensor, str(place)), axis)
        for tensor, axis in raw.values.items():
            self._declare(("values", tensor), axis)
        for number, equation in enumerate(spec.equations):
            self._read(equation.target, str(spec.error(number, "")))
            self._read(equation.value, str(spec.error(number, "")))
        for number, equation in enumerate(spec.equations):
            self._read_places(equation.value, str(spec.error(number, "")))
        for fact in spec.facts:
            for side in (fact.left, fact.right):
                self._read(side, f"{spec.layer}: fact `{write(fact)}`: ")
        for number, equation in enumerate(spec.equations):
            for node in walk(equation.value):
                if isinstance(node, MatrixFn):
                    self._square(node, str(spec.error(number, "")))
        self._check_integers()
        self.names = self._name()

    def _find(self, place: Place) -> Place:
        self.parent.setdefault(place, place)
        while self.parent[place] != place:
            place = self.parent[place]
        return place

    def _declare(self, place: Place, axis: str) -> None:
        if "'" in axis:
            raise SpecError(f"{self.raw.layer}: {axis} cannot be the name of an axis: generated code uses it; leave out the prime")
        self.declared[self._find(place)] = axis

    def _join(self, place: Place, other: Place, error: str) -> None:
        a, b = self._find(place), self._find(other)
        if a == b:
            return
        first, second = self.declared.get(a), self.declared.get(b)
        if first is not None and second is not None and first != second:
            raise SpecError(f"{error}{_called(place)} {first}, but {_called(other)} {second}; use an index over {first} there")
        self.parent[b] = a
        if second is not None:
            self.declared[a] = second

    def _read(self, expr: Expr, error: str) -> None:
        for node in walk(expr):
            if isinstance(node, (Sum, Max, MatrixFn)):
                for bound in node.indices:
                    self._seen(bound)
            for found in free_indices(node) if isinstance(node, (Position, Delta)) else ():
                self._seen(found)
        for ref in refs(expr):
            for place, index in enumerate(ref.indices):
                here = ("axis", ref.tensor, str(place))
                if isinstance(index, Idx):
                    self._seen(index)
                    self._join(here, ("index", index.name), f"{error}in {write(ref)}, ")
                elif isinstance(index, Ref):
                    self._join(here, ("values", index.tensor), f"{error}in {write(ref)}, ")

    def _square(self, node: MatrixFn, error: str) -> None:
        """Rows, columns and the indices at which an inverse is read run over one axis."""
        if isinstance(node.body, Ref):
            # Said of the tensor, where it is one: the rows and columns may have no names of their own.
            first, second = (("axis", node.body.tensor, str(place)) for place in range(len(node.body.indices))[-2:])
            self._join(first, second, f"{error}the matrix of {write(node)} has to be square: ")
        row, *others = (*node.indices, *(index for index in node.at if isinstance(index, Idx)))
        for index in others:
            self._seen(index)
            self._join(("index", row.name), ("index", index.name), f"{error}the matrix of {write(node)} has to be square: ")

    def _read_places(self, expr: Expr, error: str) -> None:
        """A delta joins the axes of an index and of a label, and of two indices that nothing sets apart."""
        for node in walk(expr):
            if isinstance(node, Delta):
                first, second = (_place_of(index) for index in (node.a, node.b))
                label = isinstance(node.a, Ref) or isinstance(node.b, Ref)
                if first is not None and second is not None and (label or not {self._named(first), self._named(second)} - {None}):
                    self._join(first, second, f"{error}in {write(node)}, ")
            for index in (node.a, node.b) if isinstance(node, Delta) else node.indices if isinstance(node, Ref) else ():
                if isinstance(index, Affine):
                    self._check_place(index, f"{error}in {write(node)}, ")

    def _named(self, place: Place) -> str | None:
        return self.declared.get(self._find(place))

    def _check_place(self, index: Affine, error: str) -> None:
        try:
            coefficients(index.value)
        except NotLinear as why:
            raise SpecError(
                f"{error}{write_index(index)} is no place along an axis ({why}); a place is a sum of whole multiples of indices, "
                "as in 2*i + k - 1"
            ) from None
        for node in walk(index.value):
            if isinstance(node, Position) and isinstance(node.index, Ref) and node.index.tensor not in self.plain:
                raise SpecError(f"{error}{write(node.index)} is a label, with which there is no arithmetic; let it stand alone as an index")

    def _seen(self, index: Idx) -> None:
        if index.name not in self.order and "." not in index.name:
            self.order.append(index.name)

    def _check_integers(self) -> None:
        for number, equation in enumerate(self.spec.equations):
            for node in walk(equation.value):
                if isinstance(node, Ref) and node.tensor in self.integers:
                    raise self.spec.error(number, f"{node.tensor} is an integer tensor, so {write(node)} cannot stand as a real number")
                if isinstance(node, Position) and isinstance(node.index, Ref) and node.index.tensor not in self.integers:
                    name, entry = node.index.tensor, write(node.index)
                    instead = "" if name in self.spec.targets else f", or declare int {name} if it holds integers"
                    raise self.spec.error(
                        number,
                        f"position takes an index, as in position(i), or an entry of an integer input, and {entry} is a real number; "
                        f"write {entry} for the number itself{instead}",
                    )

    def _name(self) -> dict[Place, str]:
        """A name for each class: the declared one, else the first index in capitals, else something longer that is free."""
        found = dict(self.declared)
        used = {*self.declared.values(), *_ranks(self.spec), *self.order}
        for index in self.order:
            root = self._find(("index", index))
            if root not in found:
                short = index.replace("'", "").upper()
                found[root] = _free(short, used - {index}, f"N_{index}".replace("'", ""))
                used.add(found[root])
        for place in [place for place in self.parent if place[0] == "index" and "." in place[1]]:
            # An axis whose only indices are the unnamed rows and columns of a matrix.
            root = self._find(place)
            if root not in found:
                found[root] = _free("N", used, f"N_{place[1].partition('.')[0]}")
                used.add(found[root])
        for tensor in sorted(self.integers - self.plain):
            root = self._find(("values", tensor))
            if root not in found:
                found[root] = _free(f"N_{tensor}", used, f"N_{tensor}")
                used.add(found[root])
        for tensor, rank in _ranks(self.spec).items():
            for number in range(rank):
                root = self._find(("axis", tensor, str(number)))
                if root not in found:
                    found[root] = _free(f"N_{tensor}", used, f"N_{tensor}_{number + 1}")
                    used.add(found[root])
        return found

    def _axis(self, place: Place) -> str:
        return self.names[self._find(place)]

    # ------------------------------------------------------------------------------------ typed

    def tensor(self, name: str, rank: int) -> Tensor:
        dims = tuple(self._axis(("axis", name, str(place))) for place in range(rank))
        batch = tuple(index.dim for index in self.raw.batch)
        if name in self.plain:
            return Tensor(name, (), "int")
        if name in self.integers:
            return Tensor(name, batch + dims, "int", self._axis(("values", name)))
        return Tensor(name, batch + dims, self.raw.kinds.get(name, "real"))

    def named(self, index: str) -> str:
        """The axis of an index, or the axis of that name."""
        known = index in self.order or index in self.raw.axes
        return self._axis(("index", index)) if known else index

    def index(self, index: Index, axis: str) -> Index:
        if isinstance(index, Affine):
            return place_along(self.expr(index.value), axis)
        return Idx(index.name, self._axis(("index", index.name))) if isinstance(index, Idx) else self.ref(index)

    def ref(self, ref: Ref) -> Ref:
        if ref.tensor in self.plain:
            return ref
        own = (self.index(index, self._axis(("axis", ref.tensor, str(n)))) for n, index in enumerate(ref.indices))
        return Ref(ref.tensor, (*self.raw.batch, *own))

    def expr(self, expr: Expr) -> Expr:
        if isinstance(expr, Ref):
            return self.ref(expr)
        if isinstance(expr, Position):
            return Position(self.index(expr.index, ""))
        if isinstance(expr, Delta):
            first = self.index(expr.a, "")
            axis = first.dim if isinstance(first, Idx) else self._axis(("values", first.tensor)) if isinstance(first, Ref) else ""
            second = self.index(expr.b, axis)
            return delta(first, place_along(Position(second), axis) if isinstance(second, Idx) else second)
        if isinstance(expr, Size):
            return Size(self.named(expr.dim))
        parts = tuple(self.expr(child) for child in children(expr))
        if isinstance(expr, MatrixFn):
            row, column = (Idx(i.name, self._axis(("index", i.name))) for i in expr.indices)
            return MatrixFn(expr.name, (row, column), parts[0], tuple(self.index(index, row.dim) for index in expr.at))
        if isinstance(expr, (Sum, Max)):
            bound = tuple(Idx(i.name, self._axis(("index", i.name))) for i in expr.indices)
            return type(expr)(bound, parts[0])
        return rebuild(expr, parts)

    def plainly(self, equation: Equation) -> Equation:
        """The equation with letters for the unnamed rows and columns of its matrices: the first that stand for nothing else."""
        taken = {*names(equation.target), *names(equation.value)}

        def rule(node: Expr) -> Expr | None:
            if not isinstance(node, MatrixFn) or "." not in node.indices[0].name:
                return None
            axis = node.indices[0].dim
            row, column = itertools.islice(
                (Idx(letter, axis) for letter in LETTERS if letter not in taken and self._belongs(letter, axis)), 2
            )
            return MatrixFn(node.name, (row, column), substitute(node.body, dict(zip(node.indices, (row, column)))), node.at)

        return Equation(equation.target, transform(equation.value, rule))

    def _belongs(self, letter: str, axis: str) -> bool:
        return (
            self.letters.setdefault(letter, self._axis(("index", letter)) if letter in self.order or letter in self.raw.axes else axis)
            == axis
        )


LETTERS = ("i", "j", "k", "l", "m", "n", "p", "q", "r", "s", "u", "v", *(f"i{n}" for n in range(100)))


def _place_of(index: Index) -> Place | None:
    """The class to which an index that stands alone belongs."""
    if isinstance(index, Affine):
        return None
    return ("index", index.name) if isinstance(index, Idx) else ("values", index.tensor)


def _called(place: Place) -> str:
    if place[0] == "index" and "." in place[1]:
        return f"its {place[1].partition('.')[2]}s run over"
    if place[0] == "index":
        return f"the index {place[1]} runs over"
    if place[0] == "values":
        return f"the entries of {place[1]} are positions along"
    return f"axis {int(place[2]) + 1} of {place[1]} is"


def _free(short: str, used: set[str], longer: str) -> str:
    if short not in used:
        return short
    name, count = longer, 2
    while name in used:
        name, count = f"{longer}{count}", count + 1
    return name
