"""What is printed says what the proof says: brackets, shapes, widths, and LaTeX that compiles."""

from __future__ import annotations

import json as standard_json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from derivations import DERIVED
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.engine import derive
from derive.expr import Add, Delta, Diff, Expr, Fn, Idx, Mul, Num, Pow, Ref, Size, Sum, mul, neg, num, power
from derive.proof import DETAILS
from derive.render import json, latex, text
from derive.render.formula_latex import expr_latex, prose
from derive.render.formula_text import expr_text
from derive.render.notation import Context, context
from derive.spec import Layer

I, J, K = Idx("i", "N"), Idx("j", "M"), Idx("k", "N")
WHERE = context(["X", "W", "Y", "T"])
SIZES = {"N": 2, "M": 3}


# ------------------------------------------------------------------------------------------- reading text back


VALUES: dict[str, Any] = {
    "a": Fraction(3, 2),
    "b": Fraction(-2),
    "X": [Fraction(2), Fraction(-5)],
    "Y": [Fraction(7, 3), Fraction(1), Fraction(-4)],
    "N": Fraction(2),
    "M": Fraction(3),
}
TOKEN = re.compile(r"\s*(Σ_\{?|sum_\{?|δ|delta|√|sqrt|[A-Za-z][A-Za-z0-9_]*[′']*|[0-9]+|[⁰¹²³⁴⁵⁶⁷⁸⁹]+|.)")
DIGITS = {ord(c): str(n) for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}


class Reader:
    """Reads the printed notation by its stated conventions, and by nothing else, into numbers."""

    def __init__(self, written: str) -> None:
        self.tokens = [t for t in TOKEN.findall(written.strip()) if t.strip()]
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        assert token and (not wanted or token == wanted), f"{token!r} is not {wanted!r} in {self.tokens} at {self.at}"
        self.at += 1
        return token

    def terms(self) -> Any:
        """['-'] product (('+' | '-') product)*"""
        minus = self.peek() in ("−", "-")
        if minus:
            self.take()
        parts = [(minus, self.product())]
        while self.peek() in ("+", "−", "-"):
            minus = self.take() != "+"
            parts.append((minus, self.product()))
        return lambda env: sum(-part(env) if minus else part(env) for minus, part in parts)

    def product(self) -> Any:
        """Factors side by side, at most one quotient at the end; a sum reaches over the product after it."""
        parts = []
        while True:
            if self.peek().startswith(("Σ_", "sum_")):
                parts.append(self.big())
            else:
                parts.append(self.power())
            if self.peek() == "/":
                self.take()
                under = self.big() if self.peek().startswith(("Σ_", "sum_")) else self.power()
                assert self.peek() in ("", ")", "+", "−", "-", ",", "]"), "a quotient stands last in a product"
                return lambda env: _times(parts, env) / under(env)
            if self.peek() in ("", ")", "+", "−", "-", ",", "]"):
                return lambda env: _times(parts, env)

    def big(self) -> Any:
        braces = self.take().endswith("{")
        indices = [self.take()]
        while braces and self.peek() == ",":
            self.take()
            indices.append(self.take())
        if braces:
            self.take("}")
        body = self.product()

        def value(env: dict[str, int], left: list[str] = indices) -> Any:
            if not left:
                return body(env)
            return sum(value({**env, left[0]: n}, left[1:]) for n in range(3 if left[0][0] == "j" else 2))

        return value

    def power(self) -> Any:
        base = self.primary()
        if self.peek() and self.peek()[0] in "⁰¹²³⁴⁵⁶⁷⁸⁹":
            exponent = int(self.take().translate(DIGITS))
            return lambda env: base(env) ** exponent
        if self.peek() == "^":
            self.take()
            raised = int(self.take())
            return lambda env: base(env) ** raised
        return base

    def primary(self) -> Any:
        token = self.take()
        if token == "(":
            inside = self.terms()
            self.take(")")
            return inside
        if token == "abs":
            inside = self.primary()
            return lambda env: abs(inside(env))
        if token.isdigit():
            return lambda env: Fraction(int(token))
        indices = []
        if self.peek() == "[":
            self.take()
            indices.append(self.take())
            while self.peek() == ",":
                self.take()
                indices.append(self.take())
            self.take("]")
        if token in ("δ", "delta"):
            return lambda env: Fraction(env[indices[0]] == env[indices[1]])
        if indices:
            return lambda env: VALUES[token][env[indices[0]]]
        return lambda env: VALUES[token]


def _times(parts: list[Any], env: dict[str, int]) -> Any:
    found = Fraction(1)
    for part in parts:
        found *= part(env)
    return found


def evaluate(expr: Expr, env: dict[str, int]) -> Any:
    """The value of an expression by the IR's own meaning."""
    if isinstance(expr, Num):
        return expr.value
    if isinstance(expr, Size):
        return Fraction(SIZES[expr.dim])
    if isinstance(expr, Ref):
        return VALUES[expr.tensor][env[expr.indices[0].name]] if expr.indices else VALUES[expr.tensor]  # type: ignore[union-attr]
    if isinstance(expr, Delta):
        return Fraction(env[expr.a.name] == env[expr.b.name])  # type: ignore[union-attr]
    if isinstance(expr, Add):
        return sum(evaluate(t, env) for t in expr.terms)
    if isinstance(expr, Mul):
        return _times([lambda e, f=f: evaluate(f, e) for f in expr.factors], env)
    if isinstance(expr, Pow):
        return evaluate(expr.base, env) ** int(expr.exponent)
    if isinstance(expr, Fn):
        return abs(evaluate(expr.args[0], env))
    assert isinstance(expr, Sum)
    found = [env]
    for index in expr.indices:
        found = [{**e, index.name: n} for e in found for n in range(SIZES[index.dim])]
    return sum(evaluate(expr.body, e) for e in found)


LEAVES = st.sampled_from(
    [
        Ref("a"),
        Ref("b"),
        Ref("X", (I,)),
        Ref("X", (K,)),
        Ref("Y", (J,)),
        Size("N"),
        Size("M"),
        num(2),
        num(-3),
        num(Fraction(1, 2)),
        num(Fraction(-2, 3)),
    ]
)


def _grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        several.map(Add),
        several.map(Mul),
        st.tuples(inner, st.sampled_from([-2, -1, 2, 3])).map(lambda p: Pow(p[0], Fraction(p[1]))),
        inner.map(lambda e: Fn("abs", (e,))),
        st.tuples(st.sampled_from([(I,), (J,), (K,), (I, J)]), inner).map(lambda p: Sum(p[0], p[1])),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(LEAVES, _grow, max_leaves=7), st.booleans())
def test_text_reads_back_as_what_was_meant(expr: Expr, ascii: bool) -> None:
    """Nodes are built raw, nested in every way, so this is a test of the brackets alone."""
    env = {"i": 1, "j": 2, "k": 0}
    try:
        meant = evaluate(expr, env)
    except ZeroDivisionError:
        return
    written = expr_text(expr, context([], ascii=ascii))
    reader = Reader(written)
    read = reader.terms()
    assert reader.at == len(reader.tokens), written
    assert read(env) == meant, written


X, W = Ref("X", (I, K)), Ref("W", (K, J))
TOTAL = Sum((K,), mul(X, W))


@pytest.mark.parametrize(
    ("expr", "unicode", "plain"),
    [
        (mul(TOTAL, Ref("T", (I, J))), "(Σ_k X[i,k] W[k,j]) T[i,j]", "(sum_k X[i,k] W[k,j]) T[i,j]"),
        (mul(Ref("T", (I, J)), TOTAL), "T[i,j] Σ_k X[i,k] W[k,j]", "T[i,j] sum_k X[i,k] W[k,j]"),
        (mul(TOTAL, power(Size("d_k"), Fraction(-1, 2))), "(Σ_k X[i,k] W[k,j]) / √d_k", "(sum_k X[i,k] W[k,j]) / sqrt(d_k)"),
        (mul(power(Size("d_k"), Fraction(-1, 2)), TOTAL), "(1/√d_k) Σ_k X[i,k] W[k,j]", "(1 / sqrt(d_k)) sum_k X[i,k] W[k,j]"),
        (mul(num(Fraction(1, 2)), X), "X[i,k] / 2", "X[i,k] / 2"),
        (neg(Add((X, num(2)))), "−(X[i,k] + 2)", "-(X[i,k] + 2)"),
        (Add((X, neg(W))), "X[i,k] − W[k,j]", "X[i,k] - W[k,j]"),
        (power(Add((X, num(1))), 2), "(X[i,k] + 1)²", "(X[i,k] + 1)^2"),
        (power(Add((X, num(1))), Fraction(1, 2)), "√(X[i,k] + 1)", "sqrt(X[i,k] + 1)"),
        (Delta(I, Idx("i'", "N")), "δ[i,i′]", "delta[i,i']"),
        (Diff(Ref("Y", (I, J)), W, ("Y",)), "∂Y[i,j]/∂W[k,j]", "dY[i,j]/dW[k,j]"),
        (Diff(TOTAL, W, ("Y",)), "∂/∂W[k,j] (Σ_k X[i,k] W[k,j])", "d/dW[k,j] (sum_k X[i,k] W[k,j])"),
        (Diff(Ref("Y", (I, J)), W, ("T", "Y")), "∂⁺Y[i,j]/∂⁺W[k,j]", "DY[i,j]/DW[k,j]"),
        (Ref("gamma", (J,)), "γ[j]", "gamma[j]"),
        (Ref("Z", (I, Ref("y", (I,)))), "Z[i,y[i]]", "Z[i,y[i]]"),
    ],
)
def test_notation_of_the_terminal(expr: Expr, unicode: str, plain: str) -> None:
    assert expr_text(expr, WHERE) == unicode
    assert expr_text(expr, Context(WHERE.tensors, ascii=True)) == plain


@pytest.mark.parametrize(
    ("expr", "tex"),
    [
        (mul(TOTAL, power(Size("d_k"), Fraction(-1, 2))), r"\frac{\sum_{k} X_{ik}\, W_{kj}}{\sqrt{d_{k}}}"),
        (Ref("dY", (I, J)), r"\mathrm{d}Y_{ij}"),
        (Ref("W_q", (I, Idx("j'", "M"))), r"[W_{q}]_{ij'}"),
        (Ref("gamma", (J,)), r"\gamma_{j}"),
        (Ref("Z", (I, Ref("y", (I,)))), r"Z_{i,y_{i}}"),
        (Diff(Ref("Y", (I, J)), W, ("Y",)), r"\frac{\partial Y_{ij}}{\partial W_{kj}}"),
        (Ref("mask", ()), r"\mathrm{mask}"),
    ],
)
def test_notation_of_latex(expr: Expr, tex: str) -> None:
    assert expr_latex(expr, WHERE) == tex


def test_sentences_in_latex_set_their_formulas_and_escape_the_rest() -> None:
    said = prose("100% of a_b & T[i',j] is {x}, a label's #1; `∂T/∂A`", WHERE)
    assert said == r"100\% of \(a_{b}\) \& \(T_{i'j}\) is \{\(x\)\}, a label's \#1; \(\partial T/\partial A\)"


def test_batch_indices_are_left_out_only_where_they_lead() -> None:
    b = Idx("b", "B")
    where = context(["X"], (b,))
    assert expr_text(Ref("X", (b, I)), where) == "X[i]"
    assert expr_text(Ref("X", (I, b)), where) == "X[i,b]"


def test_a_vector_that_lies_both_ways_is_transposed_where_it_is_a_row() -> None:
    page = text.document(derive(Layer.parse("form", "L = sum(i,j, X[i]*A[i,j]*X[j])")))
    assert re.search(r"dA = dL +X +Xᵀ", page)


def test_one_proof_by_itself() -> None:
    proof = DERIVED["softmax"].proof("S")
    assert text.proof(proof).startswith("Lemma: dS\n\n  dS[i,j]\n    = Σ_{i′,j′} dP[i′,j′] ∂P[i′,j′]/∂S[i,j]")
    assert proof.text("brief") == text.proof(proof, "brief")
    assert proof.latex("brief") == latex.proof(proof, "brief")
    assert latex.proof(proof, "brief").startswith("\\paragraph{Lemma: \\(\\mathrm{d}S\\)}")
    theorem = next(p for p in DERIVED["attention"].theorems if p.name.startswith("dQ"))
    assert "∂⁺O[i′,e]/∂⁺Q[i,d]" in text.proof(theorem)


# ------------------------------------------------------------------------------------------- whole pages


def test_attention_ends_in_its_five_results() -> None:
    page = text.document(DERIVED["attention"])
    results = page[page.index("\nResults\n") :].splitlines()
    found = [re.sub(r" +", " ", line).strip().replace("( ", "(").replace(" )", ")") for line in results if " = " in line]
    assert found == ["dV = Pᵀ dO", "D = rowsum(dO ∘ O)", "dS = P ∘ (dP − D 1ᵀ)", "dQ = dS K / √d_k", "dK = dSᵀ Q / √d_k"]


def test_every_factor_has_its_shape_under_it() -> None:
    lines = text.document(DERIVED["linear"]).splitlines()
    at = max(n for n, line in enumerate(lines) if line.strip().startswith("dW ="))
    assert re.findall(r"\S+", lines[at + 1]) == ["N×M", "N×B", "B×M"]
    for sign, shape in (("Xᵀ", "N×B"), ("dY", "B×M")):
        assert abs(lines[at].index(sign) - lines[at + 1].index(shape)) <= 1


def test_a_named_sum_that_stays_is_also_written_out() -> None:
    page = text.document(DERIVED["softmax"])
    assert "= P ∘ ( dP − rowsum( dP ∘ P ) 1ᵀ)" in re.sub(r" +", " ", page[page.index("\nResults\n") :])


def test_a_scalar_loss_also_has_its_results_at_one() -> None:
    page = text.document(DERIVED["mse"])
    tail = re.sub(r" +", " ", page[page.index("dL = 1:") :])
    assert "dY = 2 ( Y − T ) / (B N)" in tail


def test_hypotheses_are_printed() -> None:
    assert "Hypothesis, declared and used where named:\n\n  Σ_j T[i,j] = 1\n" in text.document(DERIVED["cross_entropy"])


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("name", DERIVED)
def test_no_line_is_wider_than_the_screen(name: str, width: int, detail: str) -> None:
    assert max(map(len, text.document(DERIVED[name], detail, width).splitlines())) <= width


@pytest.mark.parametrize("name", DERIVED)
def test_ascii_is_ascii(name: str) -> None:
    assert text.document(DERIVED[name], "baby", ascii=True).isascii()


@pytest.mark.parametrize("name", DERIVED)
def test_finer_detail_only_adds_lines(name: str) -> None:
    brief, full, baby = (len(text.document(DERIVED[name], detail).splitlines()) for detail in DETAILS)
    assert brief < full <= baby


@pytest.mark.parametrize("name", DERIVED)
def test_json_is_the_document(name: str) -> None:
    assert standard_json.loads(json.document(DERIVED[name])) == DERIVED[name].document()


def test_json_at_a_coarser_detail_has_fewer_lines_of_the_same_proofs() -> None:
    brief, baby = (standard_json.loads(json.document(DERIVED["attention"], detail))["proofs"] for detail in ("brief", "baby"))
    assert [p["goal"] for p in brief] == [p["goal"] for p in baby]
    assert all(a["steps"][-1:] and a["steps"][-1]["after"] == b["steps"][-1]["after"] for a, b in zip(brief, baby) if b["steps"])
    assert sum(len(p["steps"]) for p in brief) < sum(len(p["steps"]) for p in baby)


WIDE = """
A[i,j] = sum(k, X[i,k]*W[k,j]) * exp(X[i,j]) / (1 + exp(X[i,j]*W[i,j]) + exp(2*X[i,j]) + exp(3*X[i,j]*W[i,j]) + exp(4*X[i,j]) + X[i,j]^4)
Y[i,j] = tanh(A[i,j]*alpha_long_name + X[i,j]*W[i,j] - A[i,j]^3*X[i,j] + sqrt(A[i,j]^2 + 1) + max(X[i,j], W[i,j])) / sqrt(size(i))
"""


def layers_to_print() -> list[Any]:
    return [*DERIVED.values(), derive(Layer.parse("wide_layer", WIDE)), DERIVED["softmax"].second]


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compiled(tex: str, folder: Path) -> str:
    """Compile a document and return pdflatex's log."""
    (folder / "page.tex").write_text(tex, encoding="utf-8")
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=folder, capture_output=True, timeout=120
    )
    log = (folder / "page.log").read_text(encoding="utf-8", errors="replace")
    assert ran.returncode == 0, log[-3000:]
    return log


@needs_latex
@pytest.mark.parametrize("detail", DETAILS)
def test_every_layer_compiles_and_nothing_runs_off_the_page(detail: str, tmp_path: Path) -> None:
    body = "\n\\clearpage\n".join(latex.fragment(derivation, detail) for derivation in layers_to_print())
    # The pictures are the same at every level; a document that does not load tikz leaves them out.
    preamble = latex.PREAMBLE if detail == "full" else latex.PREAMBLE.replace(",tikz", "")
    log = compiled(preamble + "\\begin{document}\n" + body + "\n\\end{document}\n", tmp_path)
    assert "Overfull" not in log
    assert "Missing character" not in log


@needs_latex
def test_a_document_stands_alone(tmp_path: Path) -> None:
    derivation = DERIVED["attention"]
    assert "Overfull" not in compiled(latex.document(derivation, report=derivation.check()), tmp_path)
