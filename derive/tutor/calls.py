"""Reads the arguments of functions and methods, as NumPy, PyTorch and a page of paper write them, and what each makes."""

from __future__ import annotations

from fractions import Fraction

from derive.tutor.lexing import Stream, Token
from derive.tutor.tree import Node, Unreadable
from derive.tutor.words import ALSO, FUNCTIONS, OPERATORS, REDUCTIONS


class Calls(Stream):
    """The part of the reader that is about brackets of arguments."""

    def sum(self) -> Node:
        raise NotImplementedError

    def unknown(self, name: Token) -> Node:
        raise NotImplementedError

    def primed(self, name: str) -> str:
        while self.accept("'"):
            name += "'"
        return name

    def arguments(self) -> tuple[list[Node], list[int], dict[str, object]]:
        """Arguments in brackets: the formulas, those of them that are whole numbers, and the options by keyword."""
        self.expect("(")
        nodes: list[Node] = []
        options: dict[str, object] = {}
        while self.token.text != ")":
            if self.token.kind == "name" and self.ahead().text == "=":
                name = self.take().text
                self.take()
                options[name] = self.option()
            elif self.token.text == "(" and self.ahead().kind == "number" and self.ahead(2).text == ",":
                options["axis"] = self.option()
            elif self.token.kind == "text":
                options["text"] = self.take()
            else:
                nodes.append(self.sum())
            if not self.accept(","):
                break
        self.expect(")")
        return nodes, [number for node in nodes if (number := _whole(node)) is not None], options

    def option(self) -> object:
        if self.accept("("):
            numbers = []
            while not self.accept(")"):
                numbers.append(_whole(self.sum()))
                self.accept(",")
            return tuple(n for n in numbers if n is not None)
        token = self.token
        if token.kind == "name":
            self.take()
            return {"True": True, "False": False, "None": None}.get(token.text, token.text)
        number = _whole(self.sum())
        if number is None:
            raise Unreadable("expected a whole number", token.at)
        return number

    def call(self, name: Token) -> Node:
        word = name.text
        function = ALSO.get(word, word)
        if word in REDUCTIONS:
            return self.sum_call(name)
        if function == "einsum":
            nodes, _, options = self.arguments()
            spec = options.get("text")
            if not isinstance(spec, Token):
                raise Unreadable("einsum begins with its indices, as in einsum('ik,ij->kj', X, dY)", name.at)
            return Node("einsum", tuple(nodes), spec.text[1:-1].replace(" ", ""), name.at)
        if function == "softmax":
            nodes, _, options = self.arguments()
            nodes = nodes[:1]
        else:
            nodes, _, options = self.arguments()
        if function == "len":
            return Node("size", tuple(nodes[:1]), 0, name.at)
        if function not in FUNCTIONS and function not in OPERATORS:
            self.unknown(name)
        return self.build(function, tuple(nodes), name)

    def sum_call(self, name: Token) -> Node:
        """`sum(k, ...)` over indices, or `np.sum(X, axis=0)` over axes."""
        start = self.position
        self.expect("(")
        indices: list[str] = []
        while self.token.kind == "name" and self.token.text not in self.names:
            save = self.position
            index = self.primed(self.take().text)
            if not self.accept(","):
                self.position = save
                break
            if self.token.kind == "name" and self.ahead().text == "=":
                self.position = save
                break
            indices.append(index)
        if indices and name.text == "sum":
            body = self.sum()
            self.expect(")")
            return Node("over", (body,), tuple(indices), name.at)
        self.position = start
        nodes, _, options = self.arguments()
        if not nodes:
            raise Unreadable(f"{name.text} adds up nothing here", name.at)
        return _reduced(name, nodes[0], nodes[1:], options)

    def reduction(self, word: str, value: Node, name: Token) -> Node:
        nodes, _, options = self.arguments()
        return _reduced(name, value, nodes, options)

    def build(self, function: str, parts: tuple[Node, ...], name: Token) -> Node:
        wanted = FUNCTIONS.get(function, 1 if function in ("neg", "reciprocal") else 2)
        if len(parts) != wanted and not (function == "inv" and len(parts) == 3):
            raise Unreadable(f"{name.text} takes {wanted} argument{'s'[: wanted - 1]}, not {len(parts)}", name.at)
        at = name.at
        if function in ("mul", "div", "dot"):
            return Node({"mul": "times", "div": "divide", "dot": "product"}[function], parts, at=at)
        if function in ("add", "subtract"):
            return Node("add", (parts[0], parts[1] if function == "add" else Node("negative", (parts[1],), at=at)), at=at)
        if function == "neg":
            return Node("negative", parts, at=at)
        if function == "reciprocal":
            return Node("power", parts, Fraction(-1), at)
        if function == "square":
            return Node("power", parts, Fraction(2), at)
        if function == "sqrt":
            return Node("power", parts, Fraction(1, 2), at)
        if function == "pow":
            exponent = parts[1]
            negative = exponent.kind == "negative"
            exponent = exponent.parts[0] if negative else exponent
            if exponent.kind != "num":
                raise Unreadable("the exponent of a power is a number", at)
            return Node("power", parts[:1], -exponent.value if negative else exponent.value, at)
        if function == "transpose":
            return Node("transpose", parts, "numpy", at)
        if function in ("rowsum", "colsum"):
            return Node("reduce", parts, ("sum", (1,) if function == "rowsum" else (0,), True), at)
        return Node("call", parts, function, at)


def _reduced(name: Token, value: Node, others: list[Node], options: dict[str, object]) -> Node:
    axes = options.get("axis", options.get("dim"))
    if axes is None and others:
        axes = tuple(number for other in others if (number := _whole(other)) is not None)
        if len(axes) != len(others):
            raise Unreadable(
                f"expected an axis, as in {name.text}(X, axis=0), or indices first, as in {name.text}(k, X[i,k])", others[0].at
            )
    if isinstance(axes, int):
        axes = (axes,)
    return Node("reduce", (value,), (name.text, axes, bool(options.get("keepdims", options.get("keepdim", False)))), name.at)


def _whole(node: Node) -> int | None:
    if node.kind == "negative":
        inner = _whole(node.parts[0])
        return None if inner is None else -inner
    return int(node.value) if node.kind == "num" and node.value.denominator == 1 else None
