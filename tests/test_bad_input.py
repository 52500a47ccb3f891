"""What a user can get wrong: each mistake has one message that names the place and says what to write instead."""

from __future__ import annotations

import pytest
import sympy as sp
from sympy import Eq, Sum

from derive.spec import Layer, SpecError
from derive.symbols import axes, tensors

LINEAR = "Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]"

# The text, and what the message says.
TEXTS = {
    "free_on_the_right": (
        LINEAR.replace("b[j]", "b[m]"),
        "index m is free on the right but not on the left; sum over it, as in sum(m, ...)",
    ),
    "free_on_the_left": ("Y[i,j] = b[j]", "index i is free on the left but not on the right; write Y[j]"),
    "gone_from_the_right": (
        "Y[i] = X[i]/X[i]",
        "the right side is the same as 1, in which the index i no longer stands; write Y = 1, or a right side that depends on i",
    ),
    "gone_with_a_zero": ("Y[i,j] = b[j] + 0*X[i]", "is the same as b[j], in which the index i no longer stands; write Y[j] = b[j]"),
    "gone_with_a_power": ("Y[i] = (X[i]*W[i])^0*c", "is the same as c, in which the index i no longer stands; write Y = c"),
    "one_index_two_sizes": ("axes i:B k:N j:M\nY[i,j] = sum(k, X[i,k]*X[k,j])", "in X[k,j], axis 1 of X is B, but the index k runs over N"),
    "one_index_two_axes": ("axes i:B i:C\nY[i] = X[i]", "index i runs over B and over C"),
    "rank": (LINEAR.replace("b[j]", "W[j]"), "W[j] has 1 index, but W[k,j] in equation 1 has 2"),
    "rank_of_a_matrix": ("Y = logdet(A) + sum(i,j,k,A[i,j,k])", "A[i,j,k] has 3 indices, but the matrix A in equation 1 has 2; a tensor"),
    "rank_of_a_stack": ("Y = sum(i, A[i])*sum(n, det(A[n]))", "the matrix A[n] has 3 indices, but A[i] in equation 1 has 1"),
    "repeated": ("Y[i] = X[i]\nY[i] = X[i]^2", "equation 2, `Y[i] = X[i]^2`: Y is defined twice, first in equation 1"),
    "cyclic": ("S[i] = P[i]\nP[i] = S[i]*X[i]\nY[i] = P[i]", "S is defined in terms of itself (S -> P -> S)"),
    "own_definition": ("Y[i] = Y[i] + X[i]", "Y is defined in terms of itself"),
    "too_early": ("S[i] = P[i]\nP[i] = X[i]\nY[i] = P[i]+S[i]", "P is used before it is defined, in equation 2; move that line up"),
    "bound_is_free": ("Y[i] = sum(i, X[i])", "sum(i, X[i]) binds i, which is already free in Y[i]; give the sum an index of its own"),
    "bound_twice": ("Y = sum(i, X[i]*sum(i, Z[i]))", "sum(i, Z[i]) binds i, which is already bound by an outer reduction"),
    "bound_outside": ("Y[i] = sum(k, X[i,k])*W[k]", "index k is bound by a sum or max and stands outside it too; widen its brackets"),
    "bound_same": ("Y = sum(i,i, X[i])", "names the index i twice"),
    "bound_unused": ("Y[i] = sum(k, X[i])", "sum(k, X[i]) runs over k, which does not stand in what follows"),
    "left_twice": ("Y[i,i] = X[i]", "index i stands twice on the left"),
    "left_reads": ("Y[y[i]] = X[i]", "the left of = has plain indices"),
    "unknown_function": ("Y[i] = sigmod(X[i])", "there is no function sigmod; did you mean sigmoid?"),
    "softmax": ("Y[i] = softmax(X[i])", "write it out: exp(S[i,j]) / sum(k, exp(S[i,k]))"),
    "arity": ("Y[i] = exp(X[i], 2)", "exp takes 1 argument, got 2"),
    "sum_on_paper": (
        "Y[i] = Σ_j X[i,j]*W[j]",
        "column 8: a sum names its indices within its brackets; write sum(j, X[i,j]*W[j])",
    ),
    "sum_on_paper_of_terms": ("Y[i] = sum_j X[i,j] + b[i]", "column 8: a sum names its indices within its brackets; write sum(j, ...)"),
    "sum_on_paper_in_brackets": ("Y[i] = 2*exp(Σ_j X[i,j]*(W[j]+1))", "write sum(j, X[i,j]*(W[j]+1))\n"),
    "sum_on_paper_called": ("Y[i] = Σ_j(X[i,j])", "there is no function Σ_j; a sum names its indices within its brackets: sum(j, ...)"),
    "sum_sign": ("Y[i] = ∑ X[i,j]", "'∑' has no meaning in a formula; write sum(k, ...)"),
    "sum_letter": ("Y[i] = Σ X[i,j]", "within its brackets; write sum(k, X[i,j])"),
    "sum_order": ("Y[i] = sum(X[i,k], k)", "a sum names its indices first"),
    "case": ("S[i,j] = sum(k, Q[i,k]*K[j,k])\nP[i,j] = exp(s[i,j])*S[i,j]", "s is used once and defined nowhere; did you mean S?"),
    "typo": (
        "Scores[i,j] = sum(k, Q[i,k]*K[j,k])\nP[i,j] = exp(Scroes[i,j])*Scores[i,j]",
        "Scroes is used once and defined nowhere; did you mean Scores?",
    ),
    "never": ("axes i:N j:N\nY[i,j] = where(i < j and j < i, X[i,j], 0)", "the conditions i < j and j < i never hold together"),
    "never_whole": ("axes i:N j:N\nY[i,j] = where(i < j and j < i + 1, X[i,j], 0)", "never hold together"),
    "never_nested": ("Y[i] = where(X[i] > 1, where(X[i] <= 1, X[i], 0), 0)", "1 < X[i] and X[i] <= 1 never hold together"),
    "never_chain": (
        "axes i:N j:N k:N\nY[i,j,k] = where(i < j and j < k and k < i, X[i,j,k], 0)",
        "the conditions i < j, j < k and k < i never hold together",
    ),
    "never_values": (
        "Y[i,j] = where(X[i,j] < u[i], where(u[i] < v[j], where(v[j] <= X[i,j], 1, 0), 0), 0)",
        "X[i,j] < u[i], u[i] < v[j] and v[j] <= X[i,j] never hold together",
    ),
    "never_room": ("axes i:N j:N\nY[i,j] = where(i + 2 <= j and j <= i + 1, X[i,j], 0)", "never hold together"),
    "never_position": ("Y[i] = where(i < 0, X[i], 1)", "the condition i < 0 never holds; leave out what it selects"),
    "never_end": ("Y[i] = where(i >= size(i), X[i], 1)", "never holds; leave out what it selects"),
    "never_number": ("Y[i] = where(1 > 2, X[i], 1)", "column 14: this condition never holds; leave out what it selects"),
    "never_same": ("Y[i] = where(i != i, X[i], 1)", "column 14: this condition never holds"),
    "no_size": (
        "Y[i,j] = X[i] + position(j)",
        "j runs over the axis J, which no input has, so its size is not known; declare its size, as in size(j) = size(i), "
        "or give an input that axis",
    ),
    "no_size_beside_a_known_one": (
        "axes i:J\nY[b,i] = sum(j, where(j <= i, X[b,j], 0))",
        "i runs over the axis J, which no input has, so its size is not known; declare its size, as in size(i) = size(b), or give an "
        "input that axis; if i and j run over one axis, write axes i:J j:J",
    ),
    "no_size_asked": (
        "axes i:N j:M\nY[i] = X[i]*size(j)",
        "no input has the axis M, so its size is not known; declare its size, as in size(M) = size(i)",
    ),
    "no_size_summed": ("Y[i] = sum(j, X[i]*position(j))", "j runs over the axis J, which no input has"),
    "unused": ("S[i] = X[i]^2\nY[i] = exp(X[i])", "equation 1, `S[i] = X[i]^2`: S is never used and is not the output, Y"),
    "wrt_unknown": (
        "wrt Weight\nY[i] = Weights[i]^2",
        "there is no tensor Weight to differentiate by; did you mean Weights?; choose among Weights",
    ),
    "wrt_computed": ("wrt Y\nY[i] = X[i]", "Y is computed by an equation, not an input, so it cannot be differentiated by; choose among X"),
    "wrt_integer": ("wrt y\nY[i] = X[y[i]]", "y is an integer tensor and has no gradient; choose among X"),
    "wrt_const": ("wrt T\nconst T\nY[i] = X[i]*T[i]", "T is declared constant and has no gradient"),
    "only_const": ("const X\nY[i] = X[i]", "there is no real input to differentiate by"),
    "output": ("outputs Q\nY[i] = X[i]", "the output Q is defined by no equation; defined are Y"),
    "input": ("inputs X q\nY[i] = X[i]", "the input q is used in no equation; the inputs are X"),
    "const": ("const q\nY[i] = X[i]", "q is declared const but is in no equation"),
    "integer_as_real": ("Y[i] = X[i,y[i]]*y[i]", "y holds integers, it is used as an index, so y[i] cannot stand as a real number"),
    "integer_computed": (
        "y[i] = X[i]\nZ[i] = W[y[i]]",
        "y is used as an index, so it is an integer input and cannot be computed by an equation",
    ),
    "index_as_number": (
        "Y[i] = X[i]*i",
        "the index i stands as a number; write position(i) for its value, size(i) for the length of its axis",
    ),
    "position_of_a_number": (
        "Y[i] = position(X[i])*X[i]",
        "`Y[i] = position(X[i])*X[i]`: position takes an index, as in position(i), or an entry of an integer input, and X[i] is a real "
        "number; write X[i] for the number itself, or declare int X if it holds integers",
    ),
    "position_of_a_result": ("H[i] = X[i]^2\nY[i] = position(H[i])*X[i]", "and H[i] is a real number; write H[i] for the number itself"),
    "size": ("Y[i] = X[i]*size(q)", "size(q) asks for the axis of an index that is nowhere"),
    "fact_unknown": ("fact sum(j, T[i,j]) = 1\nY[i] = X[i]", "fact `sum(j, T[i,j]) = 1`: T is in no equation"),
    "fact_computed": ("fact Y[i] = 1\nY[i] = X[i]", "Y is computed by an equation; a fact is a hypothesis about inputs, X"),
    "batch": ("batch i:B\nY[i] = X[i]", "i is a batch index, which leads every tensor already"),
    "gradient_name": ("Y[i] = X[i]*dX[i]", "dX is the name that the gradient of X gets"),
    "function_name": ("exp[i] = X[i]", "exp is a function and cannot be the name of a tensor"),
    "empty": ("", "the spec is empty; write an equation"),
    "comment": ("# nothing\n\n", "the spec is empty; write an equation"),
    "code": ("__import__('os').system('true')", "a formula is read, never run"),
    "attribute": ("Y = os.system(X)", "a formula is read, never run"),
    "lambda": ("Y = (lambda x: x)(X)", "lambda is a word of Python"),
    "dunder": ("Y[i] = __class__[i]", "__class__ cannot be a name here"),
    "unclosed": ("Y[i] = (X[i] + 1", "this '(' is never closed"),
    "unopened": ("Y[i] = X[i] + 1)", "this ')' has no opening bracket before it"),
    "unclosed_index": ("Y[i] = X[i", "this '[' is never closed"),
    "implicit_product": ("Y[i] = 2X[i]", "a multiplication is written with *"),
    "matrices_without_indices": (
        "Y = X W + b",
        "need their indices, and a product of matrices its sum: Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]",
    ),
    "a_matrix_and_a_vector": ("y = A x - c", "its sum: y[i] = sum(k, A[i,k]*x[k]) - c[i]"),
    "a_transposed_matrix": ("Y = X^T W V", "its sum: Y[i,j] = sum(k,l, X[k,i]*W[k,l]*V[l,j])"),
    "a_quadratic_form": ("y = x^T A x", "its sum: y = sum(k,l, x[k]*A[k,l]*x[l])"),
    "a_product_by_its_sign": ("Y = X @ W.T", "with indices this line is Y[i,j] = sum(k, X[i,k]*W[j,k])"),
    "a_product_of_many_matrices": ("Y = " + "A " * 40, "write * before A"),
    "a_product_that_fits_nothing": ("Y = x W", "a multiplication is written with *; write * before W"),
    "implicit_product_of_tensors": ("Y[i] = X[i] Z[i]", "a multiplication is written with *; write * before Z"),
    "cut_off": ("Y[i] = X[i] +", "the line ends where a tensor, a number or a function is expected"),
    "no_equation": ("X[i]^2", "an equation is a tensor, = and a formula"),
    "two_equals": ("Y[i] = X[i] = Z[i]", "a second = on one line"),
    "number_left": ("2 = X", "an equation is a tensor, = and a formula"),
    "where": ("Y[i] = where(X[i], 1, 0)", "where a comparison, < <= > >= == or !=, is expected"),
    "where_of_two": ("Y[i] = where(X[i] > 0, X[i])", "a where has three parts, as in where(j <= i, X[i,j], 0)"),
    "if": ("Y[i] = X[i] if X[i] > 0 else 0", "a choice is where(condition, a, b)"),
    "matrix_product": ("Y = X @ W", "a matrix product is a sum: sum(k, X[i,k]*W[k,j])"),
    "transpose": ("Y[i,j] = X[i,j]'", "a transpose is another order of indices, X[j,i]"),
    "bars": ("Y[i] = |X[i]|", "an absolute value is abs(x)"),
    "round_brackets": ("Y[i] = X(i)", "the entries of a tensor stand in square brackets: X[i]"),
    "comparison": ("Y[i] = X[i] > 2", "a comparison stands in a where(...)"),
    "product_of_indices": (
        "Y[i] = X[i*i]",
        "in X[i^2], i^2 is no place along an axis (i and i are multiplied); a place is a sum of whole multiples of indices",
    ),
    "half_an_index": ("shape X[N]\nY[i] = X[i/2]*Z[i]", "is no place along an axis (the number 1/2 is not whole)"),
    "a_place_between_two": ("Y[i] = X[1.5]", "column 10: 3/2 is no place along an axis"),
    "function_of_an_index": ("Y[i] = X[exp(i)]*Z[i]", "is no place along an axis"),
    "label_in_a_place": ("int y:N\nY[i] = X[y[i] + 1]*Z[i]", "y[i] is a label, with which there is no arithmetic"),
    "undeclared_integer": (
        "Y[i] = sum(k, X[i + k - pad]*W[k])",
        "index pad is free on the right but not on the left; sum over it, as in sum(pad, ...), or write Y[i,pad], "
        "or declare a plain integer: int pad",
    ),
    "no_length": (
        "shape X[N]\nY[i] = sum(k, X[i + k]*W[k])",
        "no input has the axis I of the index i; say how long it is on a line of its own, as in size(i) = size(l) - size(k) + 1",
    ),
    "length_of_an_input": (
        "size(k) = 3\nshape X[N]\nsize(i) = size(N)\nY[i] = sum(k, X[i + k]*W[k])",
        "it has in the input W; leave this line out",
    ),
    "length_of_no_input": ("shape X[N]\nsize(i) = size(i) - 1\nY[i] = sum(k, X[i + k]*W[k])", "no input has the axis I"),
    "length_twice": ("shape X[N]\nsize(i) = size(N)\nsize(i) = 3\nY[i] = sum(k, X[i + k]*W[k])", "the axis I is given twice"),
    "broken_length": ("shape X[N]\nsize(i) = size(N)/2\nY[i] = sum(k, X[i + k]*W[k])", "write // for a quotient rounded down"),
    "floor_elsewhere": ("Y[i] = X[i]//2", "// stands in the length of an axis"),
    "delta_of_two_places": ("Y[i] = X[i]*delta(i + 1, i + 2)", "one side of a delta is an index alone"),
    "delta_of_one": ("Y[i] = X[i]*delta(i)", "delta compares an index with a place"),
    "two_shapes_of_one": ("shape X[N] X[M]\nY[i] = X[i]", "X has the shape [N] already"),
    "division_by_zero": ("Y[i] = X[i]/0", "this divides by zero"),
    "negative_root": ("Y[i] = X[i]*(-1)^(1/2)", "a negative number, -1, has no real power 1/2"),
    "logarithm_of_zero": (
        "Y[i] = log(0)*X[i]",
        "column 8: 0 has no logarithm; a logarithm is taken of a number greater than 0, as in log(2)",
    ),
    "negative_logarithm": ("Y[i] = X[i] + log(1 - 3)", "column 15: a negative number, -2, has no real logarithm"),
    "logarithm_of_zero_times": ("Y[i] = xlogy(X[i], 0)", "column 8: 0 has no logarithm"),
    "huge_number": ("Y[i] = 1e999999999*X[i]", "is too large or too long"),
    "huge_power": ("Y[i] = 10^1000*X[i]", "this power of a number is too large"),
    "huge_exponent": ("Y[i] = X[i]^99999999", "the exponent 99999999 is too large"),
    "deep": ("Y = " + "(" * 3000 + "X" + ")" * 3000, "nested more than 40 deep"),
    "deep_power": ("Y = X" + "^X" * 3000, "nested more than 40 deep"),
    "unicode": ("Y[i] = X[i] × 2", "'×' has no meaning in a formula; write *"),
    "axes_form": ("axes i\nY[i] = X[i]", "axes pairs an index with its axis, as in i:I"),
}


@pytest.mark.parametrize("mistake", list(TEXTS))
def test_each_mistake_has_its_message(mistake: str) -> None:
    text, message = TEXTS[mistake]
    with pytest.raises(SpecError) as caught:
        Layer.parse("layer", text)
    said = str(caught.value)
    assert message in said
    assert said.startswith("layer: ")
    assert len(said) < 600


def test_the_caret_stands_under_the_mistake() -> None:
    with pytest.raises(SpecError) as caught:
        Layer.parse("layer", "# a comment\nS[i] = X[i]; Y[i] = S[i] + 2X[i]")
    assert str(caught.value).splitlines() == [
        "layer: line 2, column 16: a multiplication is written with *; write * before X",
        "    Y[i] = S[i] + 2X[i]",
        "                   ^",
    ]
    with pytest.raises(SpecError) as caught:
        Layer.parse("layer", "Y[i] = " + "X[i] + " * 100 + "!")
    _, shown, caret = str(caught.value).splitlines()
    assert shown[caret.index("^")] == "!"


def test_a_long_sum_is_not_deep() -> None:
    layer = Layer.parse("layer", "Y[i] = " + " + ".join(["X[i]*a", "-" * 500 + "b"] * 500))
    assert layer.inputs == ("X", "a", "b")


def test_names_that_look_alike_on_purpose_are_fine() -> None:
    assert Layer.parse("layer", "Y[i,j] = sum(k, X[i,k]*W_q[k,j]) + sum(k, X[i,k]*W_k[k,j])").inputs == ("X", "W_q", "W_k")
    assert Layer.parse("layer", "Y[i] = b1[i] + b2[i]").inputs == ("b1", "b2")
    assert Layer.parse("layer", "inputs X x\nY[i] = X[i] + x[i]").inputs == ("X", "x")
    assert Layer.parse("layer", "L = sum(i, Y[i,y[i]])").inputs == ("Y", "y")


@pytest.mark.parametrize("name", ["my layer", "class", "", "a-b"])
def test_a_layer_has_a_name_that_code_can_use(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be a layer's name"):
        Layer.parse(name, LINEAR)


def test_a_missing_tensor_is_named_with_its_neighbour() -> None:
    with pytest.raises(SpecError, match="linear: there is no tensor w; did you mean W"):
        Layer.parse("linear", LINEAR).tensor("w")


# ---------------------------------------------------------------------------------------------------- SymPy

i, j, k, N, C = axes("i:N j:C k:C N C")
X, W, Y, y, T, Q = tensors("X[N,C] W[C] Y[N] y[N]:int T[N]:const Q[N,C]")

EQUATIONS = {
    "rank": (Eq(Y[i], X[i]), "X has 2 indices, X[N,C], but stands as X[i], with 1"),
    "diagonal_of_two_sizes": (Eq(Y[i], X[i, i]), "in X[i,i], axis 2 of X is C, but the index i runs over N"),
    "free_index": (Eq(Y[i], Sum(X[j, k] * W[k], k)), "index j is free on the right but not on the left"),
    "part_of_an_axis": (Eq(Y[i], Sum(X[i, k], (k, 0, 3))), "a sum runs over a whole axis, as in Sum(x, k)"),
    "symbol": (Eq(Y[i], T[i] * sp.Symbol("eps")), "the symbol eps is neither a tensor nor an axis; declare a scalar by tensors('eps[]')"),
    "function": (Eq(Y[i], sp.tan(T[i])), "there is no function tan; did you mean tanh?"),
    "decided": (Eq(Y[i], Y[i]), "SymPy has decided this equation by itself"),
    "no_equation": (Y[i], "this is no equation; write Eq(Y[i, j], ...)"),
    "index_as_number": (Eq(Y[i], i * T[i]), "the index i stands as a number"),
    "quadratic": (Eq(Y[i], X[i * i, j] * T[i]), "i**2 is no whole number of places"),
    "real_in_a_place": (Eq(Y[i], T[i + tensors("shift").shift]), "shift is no whole number; declare it by tensors('shift:int')"),
    "condition": (Eq(Y[i], sp.Piecewise((T[i], sp.Symbol("c")), (0, True))), "c is no condition"),
    "left": (Eq(Y[i] ** 2, T[i]), "the left of Eq is one tensor with its indices"),
    "two_shapes": (Eq(Y[i], Sum(Q[i, j] + tensors("Q[C,C]").Q[j, j], j)), "Q is declared as Q[N,C] and as Q[C,C]"),
    "text": ("Y[i] = X[i]", "this is text; read it by Layer.parse(name, text)"),
}


@pytest.mark.parametrize("mistake", list(EQUATIONS))
def test_each_mistake_in_sympy_has_its_message(mistake: str) -> None:
    equation, message = EQUATIONS[mistake]
    with pytest.raises(SpecError) as caught:
        Layer("layer", [equation])
    # SymPy orders the two shapes of one tensor as it likes.
    assert message in str(caught.value) or mistake == "two_shapes" and "Q is declared as Q[C,C] and as Q[N,C]" in str(caught.value)


def test_arguments_of_a_layer_are_checked() -> None:
    good = [Eq(Y[i], X[i, y[i]])]
    for arguments, message in (
        ({"wrt": y}, "y is an integer tensor and has no gradient; choose among X"),
        ({"wrt": "Q"}, "there is no tensor Q"),
        ({"wrt": {"X"}}, "a set has no order; write a tuple"),
        ({"wrt": (X, X)}, "name each tensor to differentiate by once"),
        ({"wrt": ()}, "name each tensor to differentiate by once"),
        ({"batch": "b"}, "batch pairs indices with axes, as in 'b:B h:H', not b"),
        ({"facts": "sum(i, T[i]) = 1"}, "T is in no equation"),
        ({"facts": "sum(i, T[i])"}, "is expected"),
        ({"outputs": "Z"}, "the output Z is defined by no equation"),
    ):
        with pytest.raises(SpecError) as caught:
            Layer("layer", good, **arguments)  # type: ignore[arg-type]
        assert message in str(caught.value)
    for equations in ("Y[i] = X[i]", 5):
        with pytest.raises(SpecError, match=r"a text is read by Layer\.parse"):
            Layer("layer", equations)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="the list of equations is empty"):
        Layer("layer", [])
    with pytest.raises(SpecError, match="reads text, not int"):
        Layer.parse("layer", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: axes("i j:"), "'j:' is not an index with its axis"),
        (lambda: axes(""), "there is nothing to declare"),
        (lambda: axes("i:N i:M"), "the name i stands for two things"),
        (lambda: tensors("X[N,M"), "is not a tensor; write it as in"),
        (lambda: tensors("X[N]:float"), "is not a tensor; write it as in"),
        (lambda: tensors("X[N,2]"), "'2' in 'X[N,2]' is not the name of an axis"),
        (lambda: tensors("X[N] X[M]"), "X is declared twice"),
        (lambda: tensors("X[N]")[i], "with one name in it, write: X, = tensors('X[N]')"),
    ],
)
def test_each_mistake_in_a_declaration_has_its_message(declare: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        declare()  # type: ignore[operator]
    assert message in str(caught.value)
