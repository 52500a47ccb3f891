"""Specs in and out: SymPy and text say the same, and the author's order comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Eq, Sum, exp, log, sqrt

from derive.expr import Equation, Expr, Fn, Idx, Iverson, Max, Ref, Size, Tensor, add, mul, neg, num, power, total
from derive.functions import ARITY
from derive.layers import LAYERS
from derive.parse import parse
from derive.scalar import SYMPY, max_over, scalar_derivative, sigmoid
from derive.spec import Layer, SpecError
from derive.symbols import axes, tensors
from derive.write import write

# ---------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_text_form_gives_the_layer_back(layer: Layer) -> None:
    assert Layer.parse(layer.name, layer.text(), doc=layer.doc) == layer


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_sympy_form_gives_the_layer_back(layer: Layer) -> None:
    facts = [row.removeprefix("fact ") for row in layer.text().splitlines() if row.startswith("fact ")]
    about = {"inputs": layer.inputs, "outputs": layer.outputs, "batch": layer.batch, "doc": layer.doc}
    assert Layer(layer.name, layer.sympy(), facts=facts, sizes=[write(size) for size in layer.sizes], **about) == layer


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_finished_ir_gives_the_layer_back(layer: Layer) -> None:
    fields = (layer.name, layer.tensors, layer.equations, layer.facts, layer.inputs, layer.outputs, layer.wrt, layer.batch, layer.doc)
    assert Layer.of(*fields, layer.sizes) == layer


def test_layer_names_differ() -> None:
    assert len({layer.name for layer in LAYERS}) == len(LAYERS)
    assert all(layer.doc for layer in LAYERS)


I, J, K = Idx("i", ""), Idx("j", ""), Idx("k", "")
ATOMS = st.sampled_from([Ref("X", (I, K)), Ref("W", (K, J)), Ref("b", (I,)), Ref("a"), Size("k"), Ref("Z", (I, Ref("y", (I,))))])
NUMBERS = st.fractions(min_value=-9, max_value=9, max_denominator=7).map(num)


def _larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    exponents = st.sampled_from([Fraction(-2), Fraction(-1), Fraction(2), Fraction(1, 2), Fraction(-1, 2), Fraction(2, 3)])
    parts = st.lists(inner, min_size=2, max_size=3)
    unary = st.sampled_from([name for name, arity in ARITY.items() if arity == 1])
    return st.one_of(
        parts.map(lambda p: add(*p)),
        parts.map(lambda p: mul(*p)),
        inner.map(neg),
        st.tuples(inner.filter(lambda e: e != num(0) and not write(e).startswith("-")), exponents).map(lambda p: power(*p)),
        st.tuples(unary, inner).map(lambda p: Fn(p[0], (p[1],))),
        st.tuples(inner, inner).map(lambda p: Fn("min", p)),
        inner.map(lambda e: total((J,), e)),
        inner.map(lambda e: Max((K,), add(Ref("X", (I, K)), mul(num(2), e)))),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(st.one_of(ATOMS, NUMBERS), _larger, max_leaves=10))
def test_what_is_written_reads_back_the_same(expr: Expr) -> None:
    line = write(Equation(Ref("Y", (I,)), expr))
    assert parse("layer", line).equations[0].value == expr, line


def test_text_reads_as_the_grammar_says() -> None:
    def value(text: str) -> str:
        return write(parse("layer", f"Y = {text}").equations[0].value)

    assert value("-x^2") == "-x^2"
    assert value("2^3^2") == "512"
    assert value("x**-1") == "1/x"
    assert value("a - b - c") == "a - b - c"
    assert value("a/b/c") == value("a/(b*c)") == "a/(b*c)"
    assert value("0.1 + 1e-5") == "10001/100000"
    assert value("x^0.5") == value("sqrt(x)") == "sqrt(x)"
    assert value("min(k, X[k])") == "-max(k, -X[k])"
    assert value("max(a, b)") == "max(a, b)"
    assert value("max(0, x, y)") == "max(max(0, x), y)"
    assert value("x^a") == "pow(x, a)"


# ---------------------------------------------------------------------------------------------------- shapes


def test_axes_are_unified_through_the_tensors() -> None:
    layer = Layer.parse(
        "attention", "S[i,j] = sum(d, Q[i,d]*K[j,d])\nP[i,j] = exp(S[i,j])/sum(k, exp(S[i,k]))\nO[i,e] = sum(j, P[i,j]*V[j,e])"
    )
    assert [(t.name, t.dims) for t in layer.tensors] == [
        ("Q", ("I", "D")),
        ("K", ("J", "D")),
        ("V", ("J", "E")),
        ("S", ("I", "J")),
        ("P", ("I", "J")),
        ("O", ("I", "E")),
    ]


def test_a_diagonal_makes_a_square() -> None:
    assert Layer.parse("trace", "t = sum(i, X[i,i])").tensor("X").dims == ("I", "I")


def test_an_axis_never_has_the_name_of_a_tensor() -> None:
    layer = Layer.parse("clash", "D[i] = sum(d, X[i,d])\nY[i] = D[i]^2")
    assert layer.tensor("X").dims == ("I", "N_d")
    assert Layer.parse("clash", "I[n] = sum(i, X[n,i])").tensor("X").dims == ("N", "N_i")


def test_integer_tensors_are_inferred() -> None:
    layer = Layer.parse("pick", "L = -sum(i, Z[i,y[i]])/size(i) + 0*sum(i,j, Z[i,j])")
    assert layer.tensor("y") == Tensor("y", ("I",), "int", "N_y")
    assert layer.wrt == ("Z",)
    layer = Layer.parse("embedding", "int ids:V\nX[n,d] = E[ids[n],d]")
    assert layer.tensor("E").dims == ("V", "D")
    assert layer.tensor("ids").values == "V"


def test_declared_names_win() -> None:
    layer = Layer.parse("linear", "axes i:B k:N j:M\nY[i,j] = sum(k, X[i,k]*W[k,j])/sqrt(N)*B")
    assert layer.dims == ("B", "N", "M")
    assert write(layer.equations[0].value) == "sum(k, X[i,k]*W[k,j])/sqrt(size(N))*size(B)"


def test_batch_axes_lead_every_tensor() -> None:
    layer = Layer.parse("pick", "Y[i] = a*X[i,y[i]]", batch="b:B h:H")
    assert layer.batch == (Idx("b", "B"), Idx("h", "H"))
    assert all(tensor.dims[:2] == ("B", "H") for tensor in layer.tensors)
    assert write(layer.equations[0]) == "Y[b,h,i] = a[b,h]*X[b,h,i,y[b,h,i]]"
    assert Layer.parse("pick", "batch b:B h:H\nY[i] = a*X[i,y[i]]") == layer


def test_arguments_stand_in_the_order_asked_for() -> None:
    text = "Y[n,c] = g[c]*X[n,c] + b[c]*t"
    assert Layer.parse("affine", text).inputs == ("g", "X", "b", "t")
    assert Layer.parse("affine", text, wrt="X g").inputs == ("X", "g", "b", "t")
    assert Layer.parse("affine", text, wrt="b").inputs == ("g", "X", "b", "t")
    assert Layer.parse("affine", text, wrt="b", inputs="t X").inputs == ("t", "X", "g", "b")
    layer = Layer.parse("affine", "const t\n" + text)
    assert layer.wrt == ("g", "X", "b")
    assert layer.tensor("t").kind == "const"


def test_several_outputs() -> None:
    layer = Layer.parse("two", "outputs S Y\nS = sum(i, X[i])\nY[i] = X[i]*S")
    assert layer.outputs == ("S", "Y")
    assert Layer.parse("two", layer.text()) == layer


# ---------------------------------------------------------------------------------------------------- SymPy


def rms_norm() -> Layer:
    n, c, k, C = axes("n:N c:C k:C C")
    X, g, Y = tensors("X[N,C] g[C] Y[N,C]")
    return Layer("rms_norm", [Eq(Y[n, c], g[c] * X[n, c] / sqrt(Sum(X[n, k] ** 2, k) / C))], wrt=(X, g))


def test_sympy_and_text_give_the_same_layer() -> None:
    text = "axes n:N c:C k:C\nY[n,c] = g[c]*X[n,c]/sqrt(sum(k, X[n,k]^2)/size(c))"
    assert rms_norm() == Layer.parse("rms_norm", text, wrt=("X", "g"))


def test_the_authors_order_comes_back() -> None:
    i, j, k = axes("i:N j:M k:M")
    Z, A, P, T, L = tensors("Z[N,M] A[N,M] P[N,M] T[N,M] L[]")
    weights = Eq(P[i, j], exp(Z[i, j]) / Sum(exp(Z[i, k]), k))
    first = Layer("first", [weights, Eq(L, Sum(T[i, j] * log(P[i, j]) + A[i, j], i, j))])
    second = Layer("second", [weights, Eq(L, Sum(A[i, j] + log(P[i, j]) * T[i, j], i, j))])
    assert write(first.equations[1].value) == "sum(i,j, T[i,j]*log(P[i,j]) + A[i,j])"
    assert write(second.equations[1].value) == "sum(i,j, A[i,j] + log(P[i,j])*T[i,j])"
    assert write(first.equations[0]) == write(second.equations[0]) == "P[i,j] = exp(Z[i,j])/sum(k, exp(Z[i,k]))"


def test_a_number_stands_before_what_is_taken_from_it() -> None:
    i, j = axes("i:N j:M")
    X, eps, Y = tensors("X[N,M] eps:const Y[N,M]")
    for value, text in ((1 - X[i, j], "1 - X[i,j]"), (X[i, j] + 1, "X[i,j] + 1"), (eps - X[i, j] ** 2, "eps - X[i,j]^2")):
        assert write(Layer("ordered", [Eq(Y[i, j], value)]).equations[0]) == f"Y[i,j] = {text}"


def test_the_order_does_not_depend_on_the_process() -> None:
    code = "import sys\nif {early}: import derive.layers\nfrom test_spec import rms_norm\nprint(rms_norm().text())\n"
    code += "from derive.layers import LAYERS\nfor layer in LAYERS: print(layer.text())"
    texts = set()
    for seed in range(2):
        env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
        command = [sys.executable, "-c", code.replace("{early}", str(seed % 2 == 0))]
        texts.add(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert len(texts) == 1


def test_declarations_hand_out_dimensions() -> None:
    made = axes("n:N c:C N")
    assert made[2] == made.N == sp.Symbol("N", integer=True)
    assert made.C.name == "C"
    assert str(tensors("X[N, C] y[N]:int a").X.label) == "X"
    n, N = axes("n:N N")
    X, Y = tensors("X[N] Y[N]")
    assert Layer("mean", [Eq(Y[n], X[n] / sp.Symbol("N"))]) == Layer("mean", [Eq(Y[n], X[n] / N)])


def test_facts_may_be_sympy_or_text() -> None:
    i, j = axes("i:N j:M")
    X, T, Y = tensors("X[N,M] T[N,M]:const Y[N]")
    equations = [Eq(Y[i], Sum(X[i, j] * T[i, j], j))]
    assert Layer("dot", equations, facts=[Eq(Sum(T[i, j], j), 1)]) == Layer("dot", equations, facts="sum(j, T[i,j]) = 1")


def test_functions_have_a_form_in_sympy() -> None:
    i, j = axes("i:N j:M")
    X, a, Y = tensors("X[N,M] a[] Y[N]")
    layer = Layer("mixed", [Eq(Y[i], max_over(X[i, j], j) * sigmoid(a) + sp.Max(a, 0) * sp.Abs(a))])
    assert write(layer.equations[0]) == "Y[i] = sigmoid(a)*max(j, X[i,j]) + abs(a)*max(a, 0)"
    assert Layer("mixed", layer.sympy(), inputs=layer.inputs) == layer


def test_plain_sympy_objects_are_read() -> None:
    i = sp.Idx("i", sp.Symbol("N", integer=True))
    U, V = sp.IndexedBase("U"), sp.IndexedBase("V")
    assert Layer("square", [Eq(U[i], V[i] ** 2)]).tensor("V").dims == ("N",)
    equation = Eq(U[sp.Symbol("i")], V[sp.Symbol("i")] ** 2)
    assert Layer("square", [equation]).tensor("V").dims == ("I",)


# ---------------------------------------------------------------------------------------------------- scalar calculus


def _value(expr: Expr, at: dict[str, sp.Expr]) -> sp.Expr:
    """A scalar expression of the IR as a number, by SymPy's own functions."""
    from derive.sympy_io import _Writer

    plain = {
        "sigmoid": lambda x: 1 / (1 + exp(-x)),
        "softplus": lambda x: log(1 + exp(x)),
        "relu": lambda x: sp.Max(x, 0),
        "xlogy": lambda x, y: x * log(y),
    }
    if isinstance(expr, Fn):
        if expr.name == "pi":
            return sp.pi
        return plain.get(expr.name, SYMPY[expr.name])(*(_value(arg, at) for arg in expr.args))
    if isinstance(expr, Ref):
        return at[expr.tensor]
    if isinstance(expr, Iverson):
        return sp.Integer(bool(sp.Rel(_value(expr.left, at), _value(expr.right, at), expr.relation)))
    parts = [_value(part, at) for part in getattr(expr, "terms", getattr(expr, "factors", ()))]
    if type(expr).__name__ == "Add":
        return sum(parts)
    if type(expr).__name__ == "Mul":
        return sp.prod(parts)
    if type(expr).__name__ == "Pow":
        return _value(expr.base, at) ** sp.Rational(str(expr.exponent))  # type: ignore[union-attr]
    return _Writer({}, {}).expr(expr)


@pytest.mark.parametrize("name", list(ARITY))
def test_scalar_derivatives_equal_differences(name: str) -> None:
    arity = ARITY[name]
    whole = Fn(name, tuple(Ref(f"x{n}") for n in range(arity)))
    h = sp.Float("1e-20", 60)
    for point in ((Fraction(3, 7), Fraction(9, 5)), (Fraction(12, 5), Fraction(1, 3))):
        at = {f"x{n}": sp.Float(sp.Rational(str(point[n])), 60) for n in range(arity)}
        for n, derivative in enumerate(scalar_derivative(name, arity)):
            up, down = ({**at, f"x{n}": at[f"x{n}"] + sign * h} for sign in (1, -1))
            slope = (_value(whole, up) - _value(whole, down)) / (2 * h)
            assert abs(sp.N(_value(derivative, at) - slope, 40)) < 1e-25


def test_kinks_have_the_values_that_torch_chooses() -> None:
    torch = pytest.importorskip("torch")
    for name, function in (("relu", torch.relu), ("abs", torch.abs), ("max", torch.maximum), ("min", torch.minimum), ("sign", torch.sign)):
        arguments = [torch.zeros((), requires_grad=True) for _ in range(ARITY[name])]
        function(*arguments).backward()
        at = {f"x{n}": sp.Integer(0) for n in range(len(arguments))}
        chosen = [float(_value(derivative, at)) for derivative in scalar_derivative(name, len(arguments))]
        assert chosen == [argument.grad.item() for argument in arguments], name


def test_an_unknown_scalar_function_is_refused() -> None:
    with pytest.raises(KeyError, match="tanh"):
        scalar_derivative("tan", 1)


def test_finished_ir_is_checked() -> None:
    i = Idx("i", "N")
    equation = Equation(Ref("Y", (i,)), Ref("X", (i,)))
    sizes = (Tensor("X", ("M",)), Tensor("Y", ("N",)))
    with pytest.raises(SpecError, match="axis 1 of X is M, but the index runs over N"):
        Layer.of("copy", sizes, [equation], (), ("X",), ("Y",), ("X",))
