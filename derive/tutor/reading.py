"""Reads a person's formula: matrix or index notation, as NumPy, PyTorch, LaTeX or a page of paper spell it. Parsed, never evaluated.

sum       term (("+" | "-") term)*
    term      factor (sign? factor)*          `*` `o` `\\odot` entry by entry, `@` `\\cdot` or a blank a matrix product, `/`
factor    "-" factor | atom postfix*
postfix   "^T" "^\\top" ".T" ".t()" "'" | "^" number | "^{-1}" | "[" indices "]" | "_{" indices "}" | ".sum(0)" ".mean()" ".shape[0]" ...
atom      number | name | "(" sum ")" | name "(" arguments ")" | "\\sum_{k}" term | "\\frac" atom atom | "\\sqrt" atom
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from derive.errors import near
from derive.tutor.tree import Node, Unreadable
from derive.tutor.words import ALSO, FUNCTIONS, LATEX, MODULES, OPERATORS, REDUCTIONS, SIGNS, SILENT

_TOKEN = re.compile(
    r"""(?P<one>\\math(?:bf|bb|bbm)\{?1\}?)
      | (?P<styled>\\(?:mathrm|mathbf|mathit|mathsf|text|operatorname|boldsymbol|bm)\{\w+\})
      | (?P<space>(?:\s|\\[,;:!\ ]|&|~|\\quad|\\displaystyle)+)
      | (?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:\.(?![A-Za-z]))?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<latex>\\[A-Za-z]+)
      | (?P<text>'[^']*->[^']*'|"[^"]*")
      | (?P<name>[^\W\d_ᵀ](?:[^\Wᵀ]*[^\W_ᵀ])?|𝟏|∂)
      | (?P<op>\*\*|<=|>=|==|!=|[-+*/^()\[\],=:<>@._{}'|∘⊙·⋅×ᵀ⊤∑Σ−′])""",
    re.VERBOSE,
)
_DEEPEST = 40
_LONGEST = 2000


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: int


def tokenize(source: str) -> list[Token]:
    if len(source) > _LONGEST:
        raise Unreadable(
            f"this line has {len(source)} characters; a formula has at most {_LONGEST}: name its parts on lines of their own", 0
        )
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise Unreadable(
                f"{source[position]!r} has no meaning in a formula; expected a tensor, a number or one of + - * / @ ^T", position
            )
        kind, word = match.lastgroup or "", match.group()
        if kind == "one":
            kind, word = "name", "𝟏"
        elif kind == "styled":
            kind, word = "name", word[word.index("{") + 1 : -1]
        elif kind == "latex":
            word = word[1:]
            kind = "op" if word in LATEX else "name"
            word = LATEX.get(word, word)
            if word == "T":
                kind = "name"
        word = SIGNS.get(word, word)
        if kind != "space" and not (kind == "name" and word in SILENT and match.group().startswith("\\")):
            tokens.append(Token(kind, word, position))
        position = match.end()
    tokens.append(Token("end", "", len(source)))
    return _joined(tokens)


def _joined(tokens: list[Token]) -> list[Token]:
    r"""`dL/dY` and `\partial L / \partial Y` are one name, dY: nobody divides by a gradient."""
    found: list[Token] = []
    n = 0
    while n < len(tokens):
        words = [token.text for token in tokens[n : n + 5]]
        if len(words) > 3 and words[0] in ("partial", "∂") and words[2] == "/" and words[3] == words[0]:
            found.append(Token("name", f"d{words[4]}", tokens[n].at))
            n += 5
        elif (
            len(words) > 2
            and words[1] == "/"
            and re.fullmatch(r"d[A-Z]", words[0])
            and re.fullmatch(r"d[A-Za-z]\w*", words[2])
            and words[2] != "d"
        ):
            found.append(Token("name", words[2], tokens[n].at))
            n += 3
        else:
            found.append(tokens[n])
            n += 1
    return found


def read(source: str, names: Collection[str], start: int = 0) -> Node:
    """The tree of a formula; `names` are the tensors and sizes it may mention, `start` the column of its first character.

    Raises Unreadable, with the column and what was expected.
    """
    parser = _Parser([Token(t.kind, t.text, t.at + start) for t in tokenize(source)], frozenset(names))
    node = parser.sum()
    if parser.token.kind != "end":
        raise parser.unexpected("an operator or the end of the line")
    return node


class _Parser:
    def __init__(self, tokens: list[Token], names: frozenset[str]) -> None:
        self.tokens, self.names, self.position, self.depth = tokens, names, 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def ahead(self, n: int = 1) -> Token:
        return self.tokens[min(self.position + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.position += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.token.text in texts and self.token.kind == "op" else None

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.unexpected(repr(text))

    def unexpected(self, wanted: str) -> Unreadable:
        found = "the line ends here" if self.token.kind == "end" else f"there is {self.token.text!r} here"
        return Unreadable(f"{found}; expected {wanted}", self.token.at)

    # ------------------------------------------------------------------------------------------------ operators

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Unreadable(f"nested more than {_DEEPEST} deep; name the inner parts on lines of their own", self.token.at)
        at = self.token.at
        terms = [self.term()]
        while sign := self.accept("+", "-"):
            term = self.term()
            terms.append(Node("negative", (term,), at=sign.at) if sign.text == "-" else term)
        self.depth -= 1
        value = terms[0] if len(terms) == 1 else Node("add", tuple(terms), at=at)
        relation = self.accept("<", "<=", ">", ">=", "==", "!=")
        return Node("compare", (value, self.sum()), relation.text, relation.at) if relation else value

    def term(self) -> Node:
        if sign := self.accept("-", "+"):
            inner = self.term()
            return Node("negative", (inner,), at=sign.at) if sign.text == "-" else inner
        value = self.factor()
        while True:
            token = self.token
            if token.kind == "op" and token.text in ("*", "@", "/"):
                self.take()
                other = self.factor()
                kind = {"*": "times", "@": "product", "/": "divide"}[token.text]
                value = Node(kind, (value, other), at=token.at)
            elif (
                token.text == "o"
                and token.kind == "name"
                and token.text not in self.names
                and self.ahead().kind in ("name", "number", "op")
            ):
                self.take()
                value = Node("times", (value, self.factor()), at=token.at)
            elif self.begins_factor():
                value = Node("product", (value, self.tight()), at=token.at)
            else:
                return value

    def begins_factor(self) -> bool:
        token = self.token
        return token.kind in ("name", "number") or token.kind == "op" and token.text in ("(", "Σ", "{")

    def tight(self) -> Node:
        return self.postfix(self.atom())

    def factor(self) -> Node:
        if sign := self.accept("-", "+"):
            inner = self.factor()
            return Node("negative", (inner,), at=sign.at) if sign.text == "-" else inner
        return self.tight()

    # ------------------------------------------------------------------------------------------------ postfixes

    def postfix(self, value: Node) -> Node:
        while True:
            token = self.token
            if token.kind != "op":
                return value
            if token.text in ("ᵀ", "'"):
                self.take()
                value = Node("transpose", (value,), "T", token.at)
            elif token.text == "^":
                self.take()
                value = self.raised(value, token)
            elif token.text == "_" and self.ahead().text in ("{", "") or token.text == "_" and self.ahead().kind in ("name", "number"):
                self.take()
                value = self.subscript(value, token)
            elif token.text == "[":
                value = self.bracket(value)
            elif token.text == "." and self.ahead().kind == "name":
                self.take()
                value = self.method(value, self.take())
            else:
                return value

    def raised(self, base: Node, sign: Token) -> Node:
        braces = self.accept("{", "(")
        if self.token.text in ("T", "ᵀ"):
            self.take()
            value = Node("transpose", (base,), "T", sign.at)
        else:
            negative = self.accept("-")
            if negative and self.accept("ᵀ") or negative and self.token.text == "T" and self.take():
                value = Node("transpose", (Node("power", (base,), Fraction(-1), sign.at),), "T", sign.at)
                if braces:
                    self.expect({"{": "}", "(": ")"}[braces.text])
                return value
            if self.token.kind != "number":
                raise self.unexpected("a number or T after ^")
            exponent = Fraction(self.take().text)
            if braces and self.accept("/"):
                if self.token.kind != "number" or not Fraction(self.token.text):
                    raise self.unexpected("a number")
                exponent /= Fraction(self.take().text)
            if abs(exponent.numerator) > 20 or exponent.denominator > 20:
                raise Unreadable("this exponent is too large; use at most 20", sign.at)
            value = Node("power", (base,), -exponent if negative else exponent, sign.at)
        if braces:
            self.expect({"{": "}", "(": ")"}[braces.text])
        return value

    def subscript(self, value: Node, sign: Token) -> Node:
        """`X_{ik}` and `X_{i,k}` are entries, `W_{1}` and `d_{k}` names where such names are known."""
        if value.kind not in ("name", "entry"):
            raise Unreadable("only a tensor has a subscript", sign.at)
        words: list[Token] = []
        if self.accept("{"):
            while not self.accept("}"):
                if self.token.kind == "end":
                    raise self.unexpected("'}'")
                words.append(self.take())
        else:
            words.append(self.take())
        joined = "".join(word.text for word in words)
        if f"{value.value}_{joined}" in self.names:
            return Node("name", (), f"{value.value}_{joined}", value.at)
        return Node("entry", (*value.parts, *(Node("name", (), name, at) for name, at in _letters(words))), value.value, value.at)

    def bracket(self, value: Node) -> Node:
        opened = self.take()
        items: list[Node | str | None] = []
        while self.token.text != "]":
            if self.token.text == ":":
                self.take()
                items.append(":")
            elif self.token.text in ("None", "newaxis") or self.token.text in ("np", "numpy") and self.ahead(2).text == "newaxis":
                while self.token.text in ("None", "np", "numpy", ".", "newaxis"):
                    self.take()
                items.append(None)
            elif self.token.text == ".":
                while self.accept("."):
                    pass
                items.append(":")
            else:
                items.append(self.index())
            if not self.accept(","):
                break
        self.expect("]")
        if value.kind == "size" and len(items) == 1 and isinstance(items[0], Node) and items[0].kind == "num":
            return Node("size", value.parts, int(items[0].value), value.at)
        if any(isinstance(item, Node) for item in items):
            if any(not isinstance(item, Node) for item in items):
                raise Unreadable(
                    "some indices are named and some are not; name them all, as in X[i,k], or none, as in X[:, None]", opened.at
                )
            indices = tuple(item for item in items if isinstance(item, Node))
            if value.kind == "call" and value.value == "inv":
                return Node("call", (*value.parts, *indices), "inv", value.at)
            if value.kind != "name":
                raise Unreadable("only a tensor has indices; name this part on a line of its own", opened.at)
            return Node("entry", indices, value.value, value.at)
        return Node("reshape", (value,), tuple(item == ":" for item in items), opened.at)

    def index(self) -> Node:
        token = self.token
        negative = self.accept("-")
        token = self.take()
        if token.kind == "number":
            return Node("num", (), -Fraction(token.text) if negative else Fraction(token.text), token.at)
        if token.kind != "name" or negative:
            raise Unreadable("expected an index, as in X[i,k]", token.at)
        node = Node("name", (), self.primed(token.text), token.at)
        return self.bracket(node) if self.token.text == "[" else node

    def primed(self, name: str) -> str:
        while self.accept("'"):
            name += "'"
        return name

    def method(self, value: Node, name: Token) -> Node:
        word = name.text
        if value.kind == "name" and value.value in MODULES and value.value not in self.names:
            if self.token.text == "." or word == "newaxis":
                return Node("name", (), word, name.at)
            return self.call(Token("name", word, name.at)) if self.token.text == "(" else self.unknown(name)
        if word in ("T", "mT", "H"):
            return Node("transpose", (value,), "numpy", name.at)
        if word == "shape":
            return Node("size", (value,), None, name.at)
        if word == "grad" and value.kind == "name":
            return Node("name", (), f"d{value.value}", value.at)
        if self.token.text != "(":
            raise Unreadable(f"there is no .{word}; expected .T, .sum(axis), .mean(axis), .shape[0] or a function", name.at)
        if word in ("t", "transpose", "swapaxes", "permute"):
            self.arguments()
            return Node("transpose", (value,), "numpy", name.at)
        if word in ("unsqueeze", "size"):
            _, numbers, _ = self.arguments()
            where = numbers[0] if numbers else 0
            if word == "size":
                return Node("size", (value,), where, name.at)
            return Node("reshape", (value,), (True, False) if where else (False, True), name.at)
        if word in REDUCTIONS:
            return self.reduction(word, value, name)
        if word in ("contiguous", "clone", "detach", "copy", "float", "double"):
            self.arguments()
            return value
        function = ALSO.get(word, word)
        if function in FUNCTIONS or function in OPERATORS:
            others, _, _ = self.arguments()
            return self.build(function, (value, *others), name)
        raise Unreadable(f"there is no .{word}; expected .T, .sum(axis), .mean(axis), .shape[0] or a function", name.at)

    def unknown(self, name: Token) -> Node:
        raise Unreadable(f"there is no function {name.text}{near(name.text, FUNCTIONS)}", name.at)

    # ------------------------------------------------------------------------------------------------ atoms

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.take()
            if len(token.text) > 30 or "e" in token.text.lower() and abs(int(token.text.lower().partition("e")[2])) > 30:
                raise Unreadable("this number is too long; use at most 30 digits", token.at)
            return Node("num", (), Fraction(token.text), token.at)
        if token.kind == "op" and token.text in ("(", "{"):
            self.take()
            value = self.sum()
            self.expect(")" if token.text == "(" else "}")
            return value
        if token.text == "Σ" and token.kind == "op":
            return self.big_sum()
        if token.kind != "name":
            raise self.unexpected("a tensor, a number or a function")
        self.take()
        if token.text == "frac" and self.token.text == "{":
            return self.fraction(token)
        if token.text in ("partial", "∂"):
            return self.atom()
        if token.text == "sqrt" and self.token.text == "{":
            return self.build("sqrt", (self.atom(),), token)
        function = ALSO.get(token.text, token.text)
        known = token.text in self.names and not (token.text == "delta" and self.token.text == "(")
        if self.token.text == "(" and not known and (function in FUNCTIONS or token.text in ALSO or token.text in REDUCTIONS):
            return self.call(token)
        if self.token.text == "(" and not known and len(token.text) > 2 and token.text.islower() and f"d{token.text}" not in self.names:
            raise Unreadable(f"there is no function {token.text}{near(token.text, FUNCTIONS)}", token.at)
        if (
            not known
            and function in ("exp", "log", "tanh", "sigmoid", "trace", "diag", "rowsum", "colsum", "sqrt")
            and self.begins_factor()
        ):
            return self.build(function, (self.tight(),), token)
        name = token.text if known else self.primed(token.text)
        if name not in self.names and "_" in name and name.rpartition("_")[0] in self.names:
            base, _, last = name.rpartition("_")
            return Node("entry", tuple(Node("name", (), letter, token.at) for letter in last), base, token.at)
        return Node("name", (), name, token.at)

    def fraction(self, token: Token) -> Node:
        """`\\frac{a}{b}`, and `\\frac{\\partial L}{\\partial Y}`, which is dY."""
        if self.ahead().text in ("partial", "∂", "d") and self.ahead(2).kind == "name":
            start = self.position
            while self.token.kind != "end" and self.token.text != "}":
                self.take()
            self.take()
            if self.accept("{") and self.token.text in ("partial", "∂", "d"):
                self.take()
                name = self.postfix(Node("name", (), f"d{self.take().text}", token.at))
                self.expect("}")
                return name
            self.position = start
        top = self.atom()
        return Node("divide", (top, self.atom()), at=token.at)

    def big_sum(self) -> Node:
        sign = self.take()
        words: list[Token] = []
        if not self.accept("_"):
            raise self.unexpected("the indices of the sum, as in \\sum_{k}")
        if self.accept("{"):
            while not self.accept("}"):
                if self.token.kind == "end":
                    raise self.unexpected("'}'")
                words.append(self.take())
        else:
            words.append(self.take())
        if any(word.text == "=" for word in words):
            words = words[: next(n for n, word in enumerate(words) if word.text == "=")]
        if self.accept("^"):
            self.atom()
        return Node("over", (self.term(),), tuple(name for name, _ in _letters(words)), sign.at)

    # ------------------------------------------------------------------------------------------------ calls

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
            if not isinstance(spec, Token) or "->" not in spec.text:
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


def _letters(words: list[Token]) -> list[tuple[str, int]]:
    """The indices of a subscript: separated by commas or blanks, or letter by letter."""
    found: list[tuple[str, int]] = []
    for word in words:
        if word.text == "'" and found:
            found[-1] = (found[-1][0] + "'", found[-1][1])
        elif word.kind == "name":
            found += [(letter, word.at) for letter in word.text] if word.text.isalpha() else [(word.text, word.at)]
    return found
