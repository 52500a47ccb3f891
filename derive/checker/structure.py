"""Whether a proof's JSON is well formed: tensors declared, ranks, axes, free and bound indices, definitions in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from derive.checker.arithmetic import function

Node = Any
Scope = Mapping[str, str]  # index name -> axis


RELATIONS = ("<", "<=", "==", "!=")
MATRIX_FUNCTIONS = {"inv": 2, "det": 0, "logdet": 0}  # and at how many indices each is read


@lru_cache(maxsize=4096)
def fraction(text: str) -> Fraction:
    """An exact number as a document writes it."""
    return Fraction(text)


class Malformed(Exception):
    """A line that means nothing; the message says where and why."""


class Declarations:
    """The tensors of a proof, by name, and every axis they have."""

    def __init__(self, tensors: Iterable[Node]) -> None:
        self.tensors: dict[str, Node] = {}
        for tensor in tensors:
            if tensor["name"] in self.tensors and self.tensors[tensor["name"]] != tensor:
                raise Malformed(f"{tensor['name']} is declared twice, differently")
            # The checker's own names have spaces in them, so that none of a document's can be one of these.
            if " " in tensor["name"]:
                raise Malformed(f"{tensor['name']!r} is no name of a tensor")
            self.tensors[tensor["name"]] = tensor

    def check_equation(self, equation: Node) -> None:
        target = equation["target"]
        if any(index[0] != "idx" for index in target[2]):
            raise Malformed(f"the target of {target[1]} must have plain indices")
        scope = scope_of(target)
        if any(" " in name for name in scope):
            raise Malformed(f"an index of {target[1]} has a space in its name")
        if len(scope) != len(target[2]):
            raise Malformed(f"the target {target[1]} repeats an index")
        self.check_expr(target, scope)
        self.check_expr(equation["value"], scope)

    def check_expr(self, node: Node, scope: Scope) -> None:
        """Raise `Malformed` unless `node` is a real-valued expression whose free indices are those of `scope`."""
        try:
            self._expr(node, scope)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise Malformed(f"this is no expression ({type(error).__name__}: {error})") from None

    def _expr(self, node: Node, scope: Scope) -> None:
        kind = node[0]
        if kind == "num":
            fraction(node[1])
        elif kind == "size":
            if not isinstance(node[1], str):
                raise Malformed(f"size of {node[1]!r}, which is no axis")
        elif kind == "ref":
            self._ref(node, scope)
        elif kind == "delta":
            first, second = self._axis(node[1], scope), self._axis(node[2], scope)
            if first != second:
                raise Malformed(f"a delta of an index over {first} and one over {second}")
        elif kind == "position":
            self._axis(node[1], scope)
        elif kind == "iverson":
            if node[1] not in RELATIONS:
                raise Malformed(f"no such relation: {node[1]!r}")
            self._expr(node[2], scope)
            self._expr(node[3], scope)
        elif kind in ("add", "mul"):
            for part in node[1]:
                self._expr(part, scope)
        elif kind == "pow":
            fraction(node[2])
            self._expr(node[1], scope)
        elif kind == "fn":
            if len(node[2]) != len(function(node[1]).partials):
                raise Malformed(f"{node[1]} takes {len(function(node[1]).partials)} arguments, not {len(node[2])}")
            for part in node[2]:
                self._expr(part, scope)
        elif kind in ("sum", "max"):
            self._expr(node[2], self._bind(node[1], scope, kind))
        elif kind == "matrixfn":
            self._matrix_function(node, scope)
        elif kind == "diff":
            self._ref(node[2], scope)
            for name in (node[2][1], *node[3]):
                if self._tensor(name)["kind"] == "int":
                    raise Malformed(f"a derivative by {name}, whose entries are integers")
            self._expr(node[1], scope)
        elif kind == "along":
            self._along(node)
            self._expr(node[1], scope)
        else:
            raise Malformed(f"no such node: {kind!r}")

    def _along(self, node: Node) -> None:
        for name, direction in node[2].items():
            if "int" in (self._tensor(name)["kind"], self._tensor(direction)["kind"]):
                raise Malformed(f"{name} moves by {direction}, but integers do not move")
            if self._tensor(name)["dims"] != self._tensor(direction)["dims"]:
                raise Malformed(f"{name} moves by {direction}, which has other axes")
        for name in node[3]:
            if self._tensor(name)["kind"] == "int":
                raise Malformed(f"{name} varies, but its entries are integers")

    def _matrix_function(self, node: Node, scope: Scope) -> None:
        if node[1] not in MATRIX_FUNCTIONS:
            raise Malformed(f"no such function of a matrix: {node[1]!r}")
        if len(node[2]) != 2 or node[2][0][2] != node[2][1][2]:
            raise Malformed(f"{node[1]} of a matrix that is not square")
        self._expr(node[3], self._bind(node[2], scope, node[1]))
        if len(node[4]) != MATRIX_FUNCTIONS[node[1]]:
            raise Malformed(f"{node[1]} is read at {len(node[4])} indices")
        for index in node[4]:
            if self._axis(index, scope) != node[2][0][2]:
                raise Malformed(f"{node[1]} of a matrix over {node[2][0][2]}, read at an index over another axis")

    def _bind(self, indices: Node, scope: Scope, kind: str) -> Scope:
        if not indices:
            raise Malformed(f"a {kind} over no index")
        inner = dict(scope)
        for tag, name, axis in indices:
            if tag != "idx":
                raise Malformed(f"a {kind} over something that is no index")
            if " " in name:
                raise Malformed(f"{name!r} is no name of an index")
            if name in inner:
                raise Malformed(f"the {kind} over {name} hides another index {name}: it would be captured")
            inner[name] = axis
        return inner

    def _tensor(self, name: str) -> Node:
        if name not in self.tensors:
            raise Malformed(f"no tensor {name} is declared")
        return self.tensors[name]

    def _ref(self, node: Node, scope: Scope) -> None:
        tensor = self._tensor(node[1])
        if len(node[2]) != len(tensor["dims"]):
            raise Malformed(f"{node[1]} has {len(tensor['dims'])} axes ({', '.join(tensor['dims'])}), not {len(node[2])}")
        for place, (index, axis) in enumerate(zip(node[2], tensor["dims"]), start=1):
            found = self._axis(index, scope)
            if found != axis:
                raise Malformed(f"index {place} of {node[1]} runs over {axis}; {_name(index)} runs over {found}")

    def _place(self, node: Node, scope: Scope) -> None:
        """A whole number: integers, sizes and positions, added and multiplied."""
        kind = node[0]
        if kind == "pow" and Fraction(node[2]).denominator == 1 and Fraction(node[2]) > 0:
            self._place(node[1], scope)
        elif kind not in ("num", "size", "position", "add", "mul"):
            raise Malformed(f"{kind!r} stands in a place along an axis")
        if kind == "num" and Fraction(node[1]).denominator != 1:
            raise Malformed(f"{node[1]} stands in a place along an axis, which is a whole number")
        for part in node[1] if kind in ("add", "mul") else ():
            self._place(part, scope)
        self._expr(node, scope)

    def _axis(self, index: Node, scope: Scope) -> str:
        if index[0] == "affine":
            self._place(index[1], scope)
            return str(index[2])
        if index[0] == "ref":
            tensor = self._tensor(index[1])
            if tensor["kind"] != "int":
                raise Malformed(f"{index[1]} stands as an index, but is no integer tensor")
            self._ref(index, scope)
            return str(tensor["values"])
        if index[0] != "idx":
            raise Malformed(f"{index!r} is no index")
        if index[1] not in scope:
            raise Malformed(f"index {index[1]} is free here, but not in the goal")
        if scope[index[1]] != index[2]:
            raise Malformed(f"index {index[1]} runs over {scope[index[1]]} and over {index[2]}")
        return str(index[2])


def _name(index: Node) -> str:
    return str(index[1])


def scope_of(target: Node) -> dict[str, str]:
    return {index[1]: index[2] for index in target[2]}


def free_scope(node: Node) -> dict[str, str]:
    """The indices that stand in `node` without being bound there (a fact holds for every value of them)."""
    found: dict[str, str] = {}

    def visit(part: Node, bound: frozenset[str]) -> None:
        if not isinstance(part, list) or not part:
            return
        if part[0] == "idx":
            if part[1] not in bound:
                found.setdefault(part[1], part[2])
        elif part[0] in ("sum", "max"):
            visit(part[2], bound | {index[1] for index in part[1]})
        elif part[0] == "matrixfn":
            visit(part[3], bound | {index[1] for index in part[2]})
            visit(part[4], bound)
        else:
            for inner in part:
                visit(inner, bound)

    visit(node, frozenset())
    return found


def normal_form(equation: Node) -> Any:
    """An equation with its indices numbered in the order they appear: equal for equations that differ in names alone."""

    def rename(node: Node, names: dict[str, str]) -> Any:
        if not isinstance(node, list) or not node:
            return node
        if node[0] == "idx":
            return ("idx", names.get(node[1], node[1]), node[2])
        if node[0] in ("sum", "max"):
            inner = {**names, **{index[1]: f"#{len(names) + n}" for n, index in enumerate(node[1])}}
            return (node[0], tuple(rename(index, inner) for index in node[1]), rename(node[2], inner))
        if node[0] == "matrixfn":
            inner = {**names, **{index[1]: f"#{len(names) + n}" for n, index in enumerate(node[2])}}
            return (*node[:2], tuple(rename(index, inner) for index in node[2]), rename(node[3], inner), rename(node[4], names))
        return tuple(rename(part, names) for part in node)

    names = {index[1]: f"#{n}" for n, index in enumerate(equation["target"][2])}
    return rename(equation["target"], names), rename(equation["value"], names)
