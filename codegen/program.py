"""The array program: straight-line blocks of ops over named axes, each value assigned once.

A value is an array whose axes are named by the op that makes it, or, for an input, by its declaration. An op binds its own
indices: `axes` are those of its result, in order, and `over` are those it uses up. A `Read` says along which of them an
argument lies, so a transpose, a broadcast and an outer product need no op of their own.

    kind        value at `axes`                                              fields used
    number      a constant                                                   number, or fn "pi"
    size        the length of an axis                                        dim
    position    the index itself: 0, 1, 2, ... along its only axis
    map         fn of the arguments, elementwise                             fn, args; number for fn "power" (the exponent)
    reduce      fn ("sum" or "max") of the argument over `over`              fn, args, over
    contract    the sum over `over` of the product of the arguments          args, over
    gather      args[0] with its axes `over` read at the labels args[1:]     args, over
    matrix      fn ("inv", "det" or "logdet") of the square matrix args[0]   fn, args, over
                with rows and columns `over`, which an inverse keeps
    diagonal    args[0] read with an axis named twice                        args
    read        args[0] with its axes `over` read at the places `at`, 0      args, over, at
                where a place lies outside of its axis
    place       the sum over `over` of args[0], each entry of which goes     args, over, at
                to the place at[0] along the axis that args[0] lacks
    expand      args[0], copied along the axes that it lacks                 args
    scan        the values of a recurrence along its axis `dim`, one array   args, over, dim, scan
                for each member, with that axis first
    item        one of the arrays that the scan args[0] makes                args, number, scan
    step        inside a scan, the place it has come to                      (none)

The functions of `map` are "add", "mul", "power" and the scalar functions of a spec; the comparisons "equal", "not_equal", "less" and
"less_equal", and "and", which give conditions; "where" (condition, a) or (condition, a, b), which is a where the condition holds and
else b or 0, whatever becomes of the other; "real" (integers and conditions as real numbers); "delta" (a Kronecker delta).
Everything a target prints comes from here: passes rewrite a Program into a Program, targets print it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from derive.expr import Affine, Equation, Expr, Idx, Position, Ref, Size, Tensor, walk
from derive.indices import free_indices

KINDS = (
    *("number", "size", "position", "map", "reduce", "contract", "gather", "matrix", "diagonal", "read", "place", "expand"),
    *("scan", "item", "step"),
)
COMPARING = ("equal", "not_equal", "less", "less_equal")
CONDITIONS = (*COMPARING, "and")
COMMUTATIVE = ("add", "mul", "and", "equal", "not_equal", "delta", "max", "min")


@dataclass(frozen=True)
class Read:
    """The array `value`, read along `axes` (one index for each axis it has, in its own order)."""

    value: str
    axes: tuple[Idx, ...] = ()


@dataclass(frozen=True)
class Op:
    """One assignment; see the module docstring for what each kind means. `source` is the equation that it completes."""

    out: str
    kind: str
    axes: tuple[Idx, ...] = ()
    args: tuple[Read, ...] = ()
    over: tuple[Idx, ...] = ()
    fn: str = ""
    number: Fraction | None = None
    dim: str = ""
    source: Equation | None = None
    at: tuple[Affine, ...] = ()
    into: str = ""
    """The value, read here for the last time, whose memory the result may take."""
    scan: Scan | None = None


@dataclass(frozen=True)
class Block:
    """A straight line of ops: one function of the generated module. `outputs` are read from the ops or the inputs."""

    inputs: tuple[str, ...]
    ops: tuple[Op, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Scan:
    """What is done at each place of an axis, from the first to the last or `backwards`, where every entry needs earlier ones.

    `body` makes the members' entries at one place from its inputs: `parts` (name, axis) are the arguments of the op, in order, of
    which it takes the entries at that place along the axis, or all where it is -1; `past` (name, member, offset) are entries made
    before, 0 beyond the end. `axes` are the other axes of each member.
    """

    body: Block
    parts: tuple[tuple[str, int], ...]
    past: tuple[tuple[str, int, int], ...]
    axes: tuple[tuple[Idx, ...], ...]
    backwards: bool


@dataclass(frozen=True)
class Part:
    """The array `value`, of which a loop takes or makes `name`: axis k in parts of the loop's axis `at[k]`, or whole where None."""

    name: str
    value: str
    at: tuple[int | None, ...]


@dataclass(frozen=True)
class Mask:
    """What shortens the parts of a loop: the condition over them and the axis `dim`, called `index`, made by `block` of `parts`.

    Along that axis a part is passed what lies between the first and the last entry that any of its rows is let see.
    """

    index: str
    dim: str
    block: Block
    parts: tuple[Part, ...]
    positions: tuple[tuple[str, str], ...]
    arrays: tuple[Tensor, ...]


@dataclass(frozen=True)
class Loop:
    """A stretch of a block done for parts of some axes at a time: `before`, then `body` for each part, then `after`.

    `dims` are the axes taken in parts and `indices` their names; `width` are the other axes of the largest array inside. A result
    that has not all of the loop's axes is summed over the parts. `positions` are the parts that number places: (name, axis).
    """

    dims: tuple[str, ...]
    indices: tuple[str, ...]
    width: tuple[str, ...]
    matrices: bool
    large: bool
    body: Block
    parts: tuple[Part, ...]
    positions: tuple[tuple[str, str], ...]
    results: tuple[Part, ...]
    arrays: tuple[Tensor, ...]
    before: Block
    after: Block
    mask: Mask | None = None


@dataclass(frozen=True)
class Program:
    """All that the kernels of one layer compute.

    `saved` are the inputs and forward values that the backward block reads. `second` is the backward pass of the backward pass,
    `second_tangent` its forward mode; both start from `kept`, the arrays that a backward pass holds (`saved` and every input that
    a tangent or the second order reads or differentiates), and recompute what else they mention.
    """

    name: str
    arrays: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wrt: tuple[str, ...]
    upstream: tuple[str, ...]
    gradients: tuple[str, ...]
    forward: Block
    saved: tuple[str, ...]
    backward: Block
    tangent: Block
    kept: tuple[str, ...]
    second: Block | None = None
    second_tangent: Block | None = None
    second_gradients: tuple[tuple[str, str], ...] = ()
    """(input or upstream gradient, its second-order gradient), for those that have one."""
    recompute: Block | None = None
    """Makes the large saved arrays anew from the others: they are dropped where the forward pass ran in parts."""
    without: tuple[str, ...] = ()
    """The passes left out, for those that run within another or within a target."""
    loops: tuple[tuple[str, Loop], ...] = ()
    """"forward", "backward" or "both" (the gradients of a scalar in the forward pass) -> how it runs in parts."""

    def loop(self, name: str) -> Loop | None:
        return dict(self.loops).get(name)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The saved arrays that may be missing."""
        return self.recompute.outputs if self.recompute is not None else ()

    def array(self, name: str) -> Tensor:
        return next(a for a in self.arrays if a.name == name)


BLOCKS = ("forward", "backward", "tangent", "second", "second_tangent")


def is_temporary(value: str) -> bool:
    """Whether a value has no name of its own in the spec or the proof."""
    return value.startswith("%")


def makers(ops: Iterable[Op]) -> dict[str, Op]:
    """Value -> the op that makes it."""
    return {op.out: op for op in ops}


def needed(ops: Iterable[Op], outputs: Iterable[str]) -> set[str]:
    """Every value that the outputs depend on, themselves included."""
    made = makers(ops)
    found: set[str] = set()
    pending = list(outputs)
    while pending:
        value = pending.pop()
        if value in found:
            continue
        found.add(value)
        if value in made:
            pending.extend(arg.value for arg in made[value].args)
    return found


def host_values(ops: Iterable[Op]) -> set[str]:
    """The values that are plain Python numbers: constants, lengths of axes, and what is computed of them."""
    host: set[str] = set()
    for op in ops:
        if op.kind in ("number", "size", "step") or (op.kind == "map" and all(arg.value in host for arg in op.args) and not op.axes):
            host.add(op.out)
    return host


def rows_of_labels(ops: Iterable[Op]) -> dict[str, int]:
    """Rows with a single 1 each, at an integer label -> which argument is the position along them. Arithmetic on places is no label: what
    it gives may lie outside of the axis, where nothing is."""
    made = makers(ops)
    found = {}
    for op in made.values():
        kinds = [made[arg.value].kind if arg.value in made else "" for arg in op.args]
        if op.fn == "delta" and kinds.count("position") == 1 and "map" not in kinds:
            found[op.out] = kinds.index("position")
    return found


def dims_used(ops: Iterable[Op]) -> tuple[str, ...]:
    """The axes whose lengths the ops mention, and the plain integers, in order of first use."""
    found: dict[str, None] = {}
    for op in ops:
        if op.kind == "size":
            found[op.dim] = None
        elif op.kind == "position":
            found[op.axes[0].dim] = None
        elif op.kind == "scan" and op.scan is not None:
            found[op.dim] = None
            found.update(dict.fromkeys(i.dim for axes in op.scan.axes for i in axes))
            found.update(dict.fromkeys(dims_used(op.scan.body.ops)))
        elif op.kind in ("read", "place"):
            found.update(dict.fromkeys(i.dim for place in op.at for i in free_indices(place.value)))
            found.update(dict.fromkeys(name for place in op.at for node in walk(place.value) for name in _lengths(node)))
            if op.kind == "place":
                found[op.at[0].dim] = None
        elif op.kind == "contract" and len(op.over) > 1 and len({frozenset(arg.axes) for arg in op.args}) > 1:
            # The summed axes are made one, for which a target needs every length.
            found.update(dict.fromkeys(i.dim for arg in op.args for i in arg.axes))
        elif op.kind == "expand" and set(op.args[0].axes) != set(op.axes):
            found.update(dict.fromkeys(i.dim for i in op.axes))
    return tuple(found)


def _lengths(node: Expr) -> tuple[str, ...]:
    """The axis or the plain integer that a part of a place names."""
    if isinstance(node, Size):
        return (node.dim,)
    return (node.index.tensor,) if isinstance(node, Position) and isinstance(node.index, Ref) else ()


def rename_read(read: Read, mapping: Mapping[Idx, Idx]) -> Read:
    return Read(read.value, tuple(mapping.get(i, i) for i in read.axes))


def read_op(read: Read, made: Mapping[str, Op]) -> Op | None:
    """What makes a value, with the indices of its reader; None for an input."""
    op = made.get(read.value)
    if op is None:
        return None
    mapping = dict(zip(op.axes, read.axes))
    return replace(op, axes=tuple(mapping[i] for i in op.axes), args=tuple(rename_read(arg, mapping) for arg in op.args))


def with_block(program: Program, name: str, block: Block) -> Program:
    return replace(program, **{name: block})  # type: ignore[arg-type]
