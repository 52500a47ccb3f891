"""The text form of a spec: a grammar read by recursive descent, never evaluated.

    spec       line (newline | ";") line ...          `#` starts a comment
    line       equation | length | axes | batch | shape | const | int | inputs | outputs | wrt | fact
    equation   tensor = expr
    length     "size" "(" index ")" = expr             the length of an axis that no input has; "//" rounds a quotient down
    axes       "axes" index:axis ...                   names axes; without it an axis is its first index in capitals
    batch      "batch" index:axis ...                  leading axes of every tensor, left out of the equations
    shape      "shape" name[axis, ...] ...             the axes of a tensor, where its indices do not say them
    const      "const" name ...                        real inputs that are not differentiated
    int        "int" name[:axis] ...                   integer inputs: labels, whose entries are indices of an axis, or plain integers
    inputs     "inputs" name ...                       the order of the arguments; likewise `outputs` and `wrt`
    fact       "fact" expr ("=" | comparison) expr     a hypothesis: an equation, or a comparison such as v[i] > 0
    expr       term (("+" | "-") term)*
    term       unary (("*" | "/") unary)*
    unary      "-"* power
    power      atom (("^" | "**") unary)?
    atom       number | "pi()" | tensor | "(" expr ")" | name "(" expr, ... ")" | "size" "(" index ")"
               | ("sum" | "max" | "min") "(" index, ... , expr ")" | "delta" "(" index "," place ")"
               | "inv" matrix "[" index "," index "]" | ("det" | "logdet") matrix
    matrix     "(" tensor ")"                          a tensor without its last two indices, such as A, or A[n] for each n
               | "(" index "," index "," expr ")"      the matrix with these entries
    tensor     name | name "[" place, ... "]"
    place      index | tensor | expr                   expr a sum of multiples of indices; what is read outside of the axis is 0
                                                           (of the target itself: an earlier entry along one axis)

What comes out is the IR with the axes still open: an index is `Idx(name, "")`. `derive.shapes` finds the axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from derive.conditions import choose, compare, complement
from derive.errors import SpecError, listing, near
from derive.expr import (
    MATRIX_FUNCTIONS,
    ONE,
    Affine,
    Delta,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    Index,
    MatrixFn,
    Max,
    Num,
    Position,
    Ref,
    Size,
    Sum,
    add,
    mul,
    neg,
    num,
    power,
    transform,
)
from derive.functions import ARITY, power_of
from derive.indices import free_indices
from derive.matrix_words import with_indices
from derive.tokens import Line, Token, check_logarithm, check_power, number, tokenize

OPEN = ""  # the axis of an index before `derive.shapes` has found it
_DEEPEST = 40
_DIRECTIVES = ("axes", "batch", "shape", "const", "int", "inputs", "outputs", "wrt", "fact")
_WORDS = ("sum", "size", "sqrt", "position", "delta")
_COMPARE = ("<", "<=", ">", ">=", "==", "!=")
_HINTS = {
    "ln": "write log(x)",
    "mean": "write sum(k, ...) / size(k)",
    "softmax": "write it out: exp(S[i,j]) / sum(k, exp(S[i,k]))",
    "logsumexp": "write log(sum(k, exp(S[i,k])))",
    "inverse": "write inv(A)[i,j]",
    "trace": "write sum(i, A[i,i])",
    "tr": "write sum(i, A[i,i])",
    "slogdet": "write logdet(A), which is log |det A|",
    "prod": "products over an index are not there",
}


@dataclass
class Raw:
    """A spec as it was read: equations whose axes are open, and what was declared about names."""

    layer: str
    equations: list[Equation] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    lengths: list[tuple[str, Expr]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)
    batch: list[Idx] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    dims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    inputs: list[str] | None = None
    outputs: list[str] | None = None
    wrt: list[str] | None = None


def parse(layer: str, text: str) -> Raw:
    """Read a spec. Raises SpecError with the line and a caret where the text is no formula."""
    raw = Raw(layer)
    if not isinstance(text, str):
        raise SpecError(f"{layer}: Layer.parse reads text, not {type(text).__name__}; SymPy equations are read by Layer(name, equations)")
    for line in lines(layer, text):
        _Reader(line, raw).statement()
    if not raw.equations:
        raise SpecError(f"{layer}: the spec is empty; write an equation, such as Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]")
    return raw


def parse_fact(layer: str, text: str, raw: Raw) -> None:
    """Read one fact, such as `sum(j, T[i,j]) = 1`, into `raw`."""
    line = Line(layer, 1, text.strip())
    reader = _Reader(line, raw)
    raw.facts.append(reader.fact())


def parse_length(layer: str, text: str, raw: Raw) -> None:
    """Read the length of an axis, such as `size(i) = size(l) - size(k) + 1`, into `raw`."""
    reader = _Reader(Line(layer, 1, text.strip()), raw)
    if reader.token.text != "size" or reader.following.text != "(":
        raise reader.line.error(0, "the length of an axis is written as in size(i) = size(l) - size(k) + 1")
    raw.lengths.append(reader.length())


def lines(layer: str, text: str) -> list[Line]:
    """The statements of a text, without comments and blank lines."""
    found = []
    for count, row in enumerate(text.splitlines(), 1):
        for part in row.split("#", 1)[0].split(";"):
            if part.strip():
                found.append(Line(layer, count, part.strip()))
    return found


def whole_matrix(of: Ref) -> tuple[tuple[Idx, Idx], Ref]:
    """The bound row and column of a matrix given by its tensor, and its entry; `derive.shapes` finds them better names."""
    row, column = Idx(f"{of.tensor}.row", OPEN), Idx(f"{of.tensor}.column", OPEN)
    return (row, column), Ref(of.tensor, (*of.indices, row, column))


def _summed(name: str) -> str:
    """`sum(j, ` for the name `Σ_j` or `sum_j`, as a sum is written on paper; "" for any other."""
    sign, _, index = name.partition("_")
    return f"sum({index}, " if sign in ("Σ", "sum") and index else "sum(k, " if sign == "Σ" else ""


class _Reader:
    """One line, its tokens and how far they were read."""

    def __init__(self, line: Line, raw: Raw) -> None:
        self.line = line
        self.raw = raw
        self.tokens = tokenize(line)
        self.position = 0
        self.depth = 0
        self.measuring = False  # in the length of an axis, where quotients are rounded down

    # -------------------------------------------------------------------------------------------- tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.token.kind == "op" and self.token.text in texts else None

    def expect(self, text: str, opened: Token | None = None) -> Token:
        if self.token.text == text:
            return self.take()
        if opened is not None and self.token.kind == "end":
            raise self.line.error(opened.column, f"this {opened.text!r} is never closed; add {text!r}")
        raise self.unexpected(f"{text!r}")

    def unexpected(self, wanted: str) -> SpecError:
        token = self.token
        if token.kind == "end":
            return self.line.error(token.column, f"the line ends where {wanted} is expected")
        if token.text in (")", "]"):
            return self.line.error(token.column, f"this {token.text!r} has no opening bracket before it, or {wanted} is missing")
        if (token.kind in ("name", "number") or token.text in ("(", "[")) and self.position:
            before = self.tokens[self.position - 1]
            if summed := _summed(before.text):
                raise self.line.error(before.column, f"a sum names its indices within its brackets; write {summed}{self._summand()})")
            if before.kind in ("name", "number") or before.text in (")", "]"):
                whole = with_indices(self.line.text)
                also = "" if whole is None else f"; matrices need their indices, and a product of matrices its sum: {whole}"
                return self.line.error(token.column, f"a multiplication is written with *; write * before {token.text}{also}")
        return self.line.error(token.column, f"{token.text!r} stands where {wanted} is expected")

    def _summand(self) -> str:
        """What a sum adds up: the product that begins here, unless terms follow of which it may or may not be the first."""
        depth = 0
        for token in self.tokens[self.position :]:
            depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
            if depth == 0 and token.text in ("+", "-"):
                return "..."
            if depth < 0 or token.kind == "end" or depth == 0 and token.kind == "op" and token.text in (",", "=", *_COMPARE):
                return self.line.text[self.token.column : token.column].strip()
        return "..."

    def name(self, what: str) -> Token:
        if self.token.kind != "name":
            raise self.unexpected(what)
        return self.take()

    # -------------------------------------------------------------------------------------------- lines

    def statement(self) -> None:
        states = self.token.text == "fact" and (self.following.kind == "number" or self.following.text in ("(", "-"))
        if states or self.token.text in _DIRECTIVES and self.following.kind == "name":
            self.directive(self.take())
        elif self.token.text == "size" and self.following.text == "(":
            self.raw.lengths.append(self.length())
        else:
            self.raw.equations.append(self.equation())
            self.raw.texts.append(self.line.text)

    def directive(self, word: Token) -> None:
        if word.text == "fact":
            self.raw.facts.append(self.fact())
            return
        while self.token.kind != "end":
            token = self.name("a name")
            if word.text == "shape":
                self.shape(token)
                continue
            axis = self.name("an axis").text if self.accept(":") else None
            if axis is None and word.text in ("axes", "batch"):
                raise self.line.error(token.column, f"{word.text} pairs an index with its axis, as in {token.text}:{token.text.upper()}")
            if axis is not None and word.text not in ("axes", "batch", "int"):
                raise self.line.error(token.column, f"{word.text} takes names alone; leave out :{axis}")
            self.declare(word.text, token, axis)
            self.accept(",")

    def declare(self, word: str, token: Token, axis: str | None) -> None:
        name, raw = token.text, self.raw
        if word in ("axes", "batch"):
            assert axis is not None
            if raw.axes.setdefault(name, axis) != axis:
                raise self.line.error(
                    token.column, f"index {name} runs over {raw.axes[name]} and over {axis}; give each axis its own index"
                )
            if word == "batch":
                raw.batch.append(Idx(name, axis))
        elif word in ("const", "int"):
            if raw.kinds.setdefault(name, word) != word:
                raise self.line.error(token.column, f"{name} is declared both {raw.kinds[name]} and {word}")
            if axis is not None:
                raw.values[name] = axis
        else:
            known: list[str] = getattr(raw, word) or []
            setattr(raw, word, [*known, name])

    def shape(self, token: Token) -> None:
        opened = self.expect("[")
        dims: list[str] = []
        while self.token.text != "]":
            dims.append(self.name("an axis").text)
            if not self.accept(","):
                break
        self.expect("]", opened)
        self.accept(",")
        if self.raw.dims.setdefault(token.text, tuple(dims)) != tuple(dims):
            raise self.line.error(token.column, f"{token.text} has the shape [{','.join(self.raw.dims[token.text])}] already")

    def length(self) -> tuple[str, Expr]:
        """`size(i) = value`: how long the axis of i is."""
        axis = self.atom()
        assert isinstance(axis, Size)
        self.expect("=")
        self.measuring = True
        return axis.dim, self.whole()

    def equation(self) -> Equation:
        target_token = self.token
        if target_token.kind != "name" or "=" not in {token.text for token in self.tokens}:
            raise self.line.error(0, "an equation is a tensor, = and a formula, as in Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]")
        target = self.atom()
        if not isinstance(target, Ref):
            raise self.line.error(target_token.column, "the left of = is one tensor with its indices, as in Y[i,j]")
        self.expect("=")
        return Equation(target, self.whole())

    def fact(self) -> Fact:
        left = self.expression()
        relation = self.accept(*_COMPARE)
        if relation is None:
            self.expect("=")
            return Fact(left, self.whole())
        right = self.whole()
        return Fact(compare(relation.text, left, right), ONE)

    def whole(self) -> Expr:
        value = self.expression()
        if self.token.text == "=":
            raise self.line.error(self.token.column, "a second = on one line; write one equation a line")
        if self.token.text in _COMPARE:
            raise self.line.error(self.token.column, "a comparison stands in a where(...), as in where(j <= i, X[i,j], 0)")
        if self.token.kind != "end":
            raise self.unexpected("an operator, + - * / or ^,")
        return value

    # -------------------------------------------------------------------------------------------- expressions

    def expression(self) -> Expr:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.line.error(self.token.column, f"nested more than {_DEEPEST} deep; name the inner parts on lines of their own")
        terms = [self.term()]
        while sign := self.accept("+", "-"):
            term = self.term()
            terms.append(term if sign.text == "+" else neg(term))
        self.depth -= 1
        return add(*terms)

    def term(self) -> Expr:
        factors = [self.unary()]
        while sign := self.accept("*", "/", "//"):
            factor = self.unary()
            if sign.text == "//":
                if not self.measuring:
                    raise self.line.error(sign.column, "// stands in the length of an axis, as in size(i) = size(l)//2; elsewhere write /")
                check_power(self.line, sign.column, factor.value if isinstance(factor, Num) else None, Fraction(-1))
                factors = [Fn("floor_div", (mul(*factors), factor))]
                continue
            if sign.text == "/":
                check_power(self.line, sign.column, factor.value if isinstance(factor, Num) else None, Fraction(-1))
            factors.append(factor if sign.text == "*" else power(factor, -1))
        return mul(*factors)

    def unary(self) -> Expr:
        negative = False
        while sign := self.accept("-", "+"):
            negative ^= sign.text == "-"
        value = self.raised()
        return neg(value) if negative else value

    def raised(self) -> Expr:
        base = self.atom()
        sign = self.accept("^", "**")
        if sign is None:
            return base
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.line.error(sign.column, f"nested more than {_DEEPEST} deep; name the inner parts on lines of their own")
        exponent = self.unary()
        self.depth -= 1
        if isinstance(exponent, Num):
            check_power(self.line, sign.column, base.value if isinstance(base, Num) else None, exponent.value)
        return power_of(base, exponent)

    def atom(self) -> Expr:
        token = self.token
        if token.kind == "number":
            self.take()
            return num(number(self.line, token))
        if token.text == "(":
            opened = self.take()
            value = self.expression()
            self.expect(")", opened)
            return value
        if token.kind == "name":
            self.take()
            if self.token.text == "(":
                return self.call(token, self.take())
            return self.tensor(token)
        raise self.unexpected("a tensor, a number or a function")

    def tensor(self, token: Token) -> Ref:
        opened = self.accept("[")
        if opened is None:
            return Ref(token.text)
        indices: list[Index] = []
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.line.error(token.column, f"nested more than {_DEEPEST} deep")
        while self.token.text != "]":
            indices.append(self.index())
            if not self.accept(","):
                break
        self.depth -= 1
        self.expect("]", opened)
        return Ref(token.text, tuple(indices))

    def index(self) -> Index:
        """An index, an entry of an integer tensor, or a place: arithmetic on indices."""
        column = self.token.column
        value = self.expression()
        if isinstance(value, Num) and value.value.denominator != 1:
            raise self.line.error(
                column, f"{value.value} is no place along an axis; a place is a sum of whole multiples of indices, as in 2*i + k - 1"
            )
        return self.place(value)

    def place(self, value: Expr) -> Index:
        if isinstance(value, Ref):
            return value if value.indices else Idx(value.tensor, OPEN)

        def index(node: Expr) -> Expr | None:
            return Position(node if node.indices else Idx(node.tensor, OPEN)) if isinstance(node, Ref) else None

        return Affine(transform(value, index), OPEN)

    def delta(self, function: Token, arguments: list[Expr]) -> Expr:
        """`delta(f, 2*c + d)`: 1 where the index f is at that place, else 0."""
        if len(arguments) != 2:
            raise self.line.error(function.column, "delta compares an index with a place, as in delta(f, size(d)*c + d)")
        first, second = (self.place(argument) for argument in arguments)
        if isinstance(first, Affine):
            first, second = second, first
        if isinstance(first, Affine):
            raise self.line.error(function.column, "one side of a delta is an index alone, as in delta(f, size(d)*c + d)")
        return Delta(first, second)

    # -------------------------------------------------------------------------------------------- calls

    def call(self, function: Token, opened: Token) -> Expr:
        name = function.text
        if name == "where":
            return self.where(opened)
        if name == "pi":
            self.expect(")", opened)
            return Fn("pi", ())
        if name in MATRIX_FUNCTIONS:
            return self.matrix_function(function, opened)
        if name not in ARITY and name not in _WORDS:
            hint = _HINTS.get(name)
            known = sorted({*ARITY, *_WORDS, *MATRIX_FUNCTIONS, "where"})
            if summed := _summed(name):
                hint = f"a sum names its indices within its brackets: {summed}...)"
            elif len(name) == 1 or not name.islower():
                hint = hint or f"the entries of a tensor stand in square brackets: {name}[i]"
            instead = f"; {hint}" if hint else near(name, known) or f"; the functions are {listing(known)}"
            raise self.line.error(function.column, f"there is no function {name}{instead}")
        arguments = [self.argument()]
        while self.accept(","):
            arguments.append(self.argument())
        self.expect(")", opened)
        if name == "size":
            return self.size(function, arguments)
        if name == "position":
            return self.value_of(function, arguments)
        if name == "delta":
            return self.delta(function, arguments)
        bound = self.bound(name, arguments)
        if name == "sum" and bound is None:
            raise self.line.error(function.column, "a sum names its indices first, then what it adds, as in sum(k, X[i,k]*W[k,j])")
        if bound is not None:
            body = arguments[-1]
            if name == "sum":
                return Sum(bound, body)
            return Max(bound, body) if name == "max" else neg(Max(bound, neg(body)))
        return self.apply(function, arguments)

    def argument(self) -> Expr:
        if self.token.text == ")":
            raise self.unexpected("an argument")
        return self.expression()

    def bound(self, name: str, arguments: list[Expr]) -> tuple[Idx, ...] | None:
        """The bound indices of a reduction, or None where the call is a function of numbers, as in max(0, x)."""
        *heads, body = arguments
        if name not in ("sum", "max", "min") or not heads or not all(isinstance(head, Ref) and not head.indices for head in heads):
            return None
        indices = tuple(Idx(head.tensor, OPEN) for head in heads if isinstance(head, Ref))
        if name != "sum" and not any(index in free_indices(body) for index in indices):
            return None
        return indices

    def value_of(self, function: Token, arguments: list[Expr]) -> Expr:
        """`position(i)`: the value of an index as a number."""
        if len(arguments) != 1 or not isinstance(arguments[0], Ref):
            raise self.line.error(function.column, "position takes one index, as in position(i), or one integer, as in position(y[i])")
        ref = arguments[0]
        return Position(ref if ref.indices else Idx(ref.tensor, OPEN))

    def matrix_function(self, function: Token, opened: Token) -> Expr:
        """`inv(A)[i,j]`, `det(A)`, `logdet(A)`, of a tensor or, as in `det(i,j, ...)`, of a matrix given by its entries."""
        name = function.text
        example = f"{name}(A){'[i,j]' if name == 'inv' else ''}"
        arguments = [self.argument()]
        while self.accept(","):
            arguments.append(self.argument())
        self.expect(")", opened)
        first, *others = arguments
        whole: tuple[tuple[Idx, Idx], Expr]
        if not others and isinstance(first, Ref):
            whole = whole_matrix(first)
        elif len(others) == 2 and all(isinstance(index, Ref) and not index.indices for index in arguments[:2]):
            row, column = (Idx(index.tensor, OPEN) for index in arguments[:2] if isinstance(index, Ref))
            whole = (row, column), others[1]
        else:
            what = f"{name} takes a tensor of two axes by its name, as in {example}, or two indices and an entry, as in"
            raise self.line.error(function.column, f"{what} {example.replace('A', 'i,j, X[i]*X[j]').replace('[i,j]', '[k,l]')}")
        at: tuple[Index, ...] = ()
        if name == "inv":
            if self.token.text != "[":
                raise self.line.error(function.column, "inv is a matrix: read it at two indices, as in inv(A)[i,j]")
            at = self.tensor(function).indices
            if len(at) != 2:
                raise self.line.error(function.column, f"an inverse has two indices, as in inv(A)[i,j], not {len(at)}")
        return MatrixFn(name, *whole, at)

    # -------------------------------------------------------------------------------------------- conditions

    def where(self, opened: Token) -> Expr:
        """`where(condition, a, b)` is [condition] a + [not condition] b."""
        condition = self.condition()
        self.expect(",")
        yes = self.argument()
        if self.token.text == ")":
            raise self.line.error(self.token.column, "a where has three parts, as in where(j <= i, X[i,j], 0)")
        self.expect(",")
        no = self.argument()
        self.expect(")", opened)
        return choose(condition, yes, no)

    def condition(self) -> Expr:
        value = self.conjunction()
        while self.accept("or"):
            value = complement(mul(complement(value), complement(self.conjunction())))
        return value

    def conjunction(self) -> Expr:
        value = self.negation()
        while self.accept("and"):
            value = mul(value, self.negation())
        return value

    def negation(self) -> Expr:
        if self.accept("not"):
            return complement(self.negation())
        start = self.position
        if self.token.text == "(":
            # A bracket may hold a condition or begin a formula that is compared.
            opened = self.take()
            try:
                value = self.condition()
                self.expect(")", opened)
                if self.token.text in ("and", "or", ",", ")"):
                    return value
            except SpecError:
                pass
            self.position = start
        return self.comparison()

    def comparison(self) -> Expr:
        column = self.token.column
        left = self.expression()
        if self.token.text not in _COMPARE:
            raise self.unexpected("a comparison, < <= > >= == or !=,")
        value: Expr = num(1)
        while self.token.text in _COMPARE:
            relation = self.take().text
            right = self.expression()
            value = mul(value, compare(relation, left, right))
            left = right
        if isinstance(value, Num) and not value.value:
            raise self.line.error(column, "this condition never holds; leave out what it selects")
        return value

    def size(self, function: Token, arguments: list[Expr]) -> Expr:
        if len(arguments) != 1 or not isinstance(arguments[0], Ref) or arguments[0].indices:
            raise self.line.error(function.column, "size takes one index, as in size(k)")
        return Size(arguments[0].tensor)

    def apply(self, function: Token, arguments: list[Expr]) -> Expr:
        name = function.text
        arity = ARITY.get(name, 1)
        if name in ("max", "min") and len(arguments) > 2:
            value = arguments[0]
            for other in arguments[1:]:
                value = Fn(name, (value, other))
            return value
        if len(arguments) != arity:
            raise self.line.error(function.column, f"{name} takes {arity} argument{'s'[: arity - 1]}, got {len(arguments)}")
        if name == "sqrt" or name == "pow":
            exponent: Expr = num(Fraction(1, 2)) if name == "sqrt" else arguments[1]
            if isinstance(exponent, Num):
                base = arguments[0]
                check_power(self.line, function.column, base.value if isinstance(base, Num) else None, exponent.value)
            return power_of(arguments[0], exponent)
        if name in ("log", "xlogy") and isinstance(arguments[-1], Num):
            check_logarithm(self.line, function.column, arguments[-1].value)
        return Fn(name, tuple(arguments))
