"""Reads a person's formula: matrix or index notation, as NumPy, PyTorch, LaTeX or a page of paper spell it. Parsed, never evaluated.

sum       term (("+" | "-") term)*
    term      factor (sign? factor)*          `*` `o` `\\odot` entry by entry, `@` `\\cdot` or a blank a matrix product, `/`
factor    "-" factor | atom postfix*
postfix   "^T" "^\\top" ".T" ".t()" "'" | "^" number | "^{-1}" | "[" indices "]" | "_{" indices "}" | ".sum(0)" ".mean()" ".shape[0]" ...
atom      number | name | "(" sum ")" | name "(" arguments ")" | "\\sum_{k}" term | "\\frac" atom atom | "\\sqrt" atom
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from derive.errors import near
from derive.tutor.calls import Calls
from derive.tutor.lexing import Token, tokenize
from derive.tutor.tree import Node, Unreadable
from derive.tutor.words import ALSO, FUNCTIONS, MODULES, OPERATORS, REDUCTIONS

_DEEPEST = 40


def read(source: str, names: Collection[str], start: int = 0) -> Node:
    """The tree of a formula; `names` are the tensors and sizes it may mention, `start` the column of its first character.

    Raises Unreadable, with the column and what was expected.
    """
    parser = _Parser([Token(t.kind, t.text, t.at + start) for t in tokenize(source)], frozenset(names))
    node = parser.sum()
    if parser.token.kind != "end":
        raise parser.unexpected("an operator or the end of the line")
    return node


class _Parser(Calls):
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
        if self.token.text == "{" and self.moved():
            self.take()
            places = [self.index()]
            while self.accept(",") or self.token.kind in ("name", "number"):
                places.append(self.index())
            self.expect("}")
            return Node("entry", (*value.parts, *places), value.value, value.at)
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

    def moved(self) -> bool:
        """Whether a subscript in braces has a sum in it, as in h_{t-1,j}."""
        steps = 1
        while self.ahead(steps).text not in ("}", "") and self.ahead(steps).kind != "end":
            if self.ahead(steps).text in ("+", "-"):
                return True
            steps += 1
        return False

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
        """An index, an entry of an integer tensor, or a place: whole multiples of indices, lengths and integers, as in `h[2*t - 1]`."""
        first = self.token.at
        sign = self.accept("-")
        terms = [_negated(self.multiple(), sign)]
        while more := self.accept("+", "-"):
            terms.append(_negated(self.multiple(), more if more.text == "-" else None))
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms), at=first)

    def multiple(self) -> Node:
        token = self.token
        factors = [self.counted()]
        while self.accept("*") or (factors[-1].kind == "num" and self.token.kind == "name"):
            factors.append(self.counted())
        return factors[0] if len(factors) == 1 else Node("times", tuple(factors), at=token.at)

    def counted(self) -> Node:
        token = self.token
        if token.kind == "name" and self.ahead().text == "(":
            return self.atom()
        self.take()
        if token.kind == "number":
            return Node("num", (), Fraction(token.text), token.at)
        if token.kind != "name":
            raise Unreadable("expected an index, as in X[i,k]", token.at)
        node = Node("name", (), self.primed(token.text), token.at)
        return self.bracket(node) if self.token.text == "[" else node

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


def _negated(node: Node, sign: Token | None) -> Node:
    if sign is None:
        return node
    return Node("num", (), -node.value, node.at) if node.kind == "num" else Node("negative", (node,), at=sign.at)


def _letters(words: list[Token]) -> list[tuple[str, int]]:
    """The indices of a subscript: separated by commas or blanks, or letter by letter."""
    found: list[tuple[str, int]] = []
    for word in words:
        if word.text == "'" and found:
            found[-1] = (found[-1][0] + "'", found[-1][1])
        elif word.kind == "name":
            found += [(letter, word.at) for letter in word.text] if word.text.isalpha() else [(word.text, word.at)]
    return found
