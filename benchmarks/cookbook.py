"""`python -m benchmarks.cookbook`: the Matrix Cookbook's derivatives that SymPy's tests number, derived, checked and evaluated.

The 43 equations are those of `sympy.matrices.expressions.tests.test_derivatives`, with the Cookbook's numbers (Petersen and Pedersen,
The Matrix Cookbook, 2012). Each is written as a spec, over axes of different lengths wherever the formula allows. The gradient, as the
generated kernel computes it, is compared with the closed form of the book and with central differences of the kernel's forward pass.
Where the book takes B and C as symmetric (126, 127), that is a declared fact; the fourth power stands for the n-th (121, 122).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.linalg import det, inv, matrix_power
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codegen.source import rendered
from derive.check import check_document
from derive.engine import derive
from derive.render.formula_text import matrix_text
from derive.render.notation import context
from derive.rules import symmetric
from derive.spec import Layer
from derive.write import write

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """One equation: its number, what is differentiated by `wrt`, the same as a spec, and the derivative as the book has it."""

    number: int
    formula: str
    spec: str
    derivative: Callable[..., Array]
    wrt: str = "X"

    @property
    def layer(self) -> Layer:
        return Layer.parse(f"cookbook_{self.number}", self.spec, wrt=self.wrt)


@dataclass(frozen=True)
class Result:
    """What became of a rule: the gradients as they are printed, lines and whether all hold, the largest error of the values."""

    rule: Rule
    gradients: str
    lines: int
    holds: bool
    against_book: float
    against_differences: float

    @property
    def ok(self) -> bool:
        return self.holds and self.against_book < 1e-9 and self.against_differences < 1e-5


def outer(*vectors: Array) -> Array:
    return np.multiply.outer(*vectors)


PRODUCT = "W[m,l] = sum(i,j, X[i,m]*C[i,j]*X[j,l])"  # X' C X
FOURTH = "Y[i,j] = sum(k, X[i,k]*X[k,j])\nZ[i,j] = sum(k, Y[i,k]*Y[k,j])"  # Z = X^4
SYMMETRIC = "fact B[i,j] = B[j,i]\nfact C[i,j] = C[j,i]"

RULES = (
    Rule(33, "X by A", "Y[i,j] = X[i,j]\nU[k,l] = A[k,l]\noutputs Y U", lambda A: 0 * A, "A"),
    Rule(61, "a' X⁻¹ b", "L = sum(i,j, a[i]*inv(X)[i,j]*b[j])", lambda X, a, b: -inv(X).T @ outer(a, b) @ inv(X).T),
    Rule(62, "det X⁻¹", "Y[i,j] = inv(X)[i,j]\nL = det(Y)", lambda X: -det(inv(X)) * inv(X).T),
    Rule(63, "tr A X⁻¹ B", "L = sum(k,i,j, A[k,i]*inv(X)[i,j]*B[j,k])", lambda X, A, B: -(inv(X) @ B @ A @ inv(X)).T),
    Rule(64, "tr (X + A)⁻¹", "L = sum(i, inv(k,l, X[k,l] + A[k,l])[i,i])", lambda X, A: -matrix_power(inv(X + A), 2).T),
    Rule(69, "x' a", "L = sum(i, x[i]*a[i])", lambda a: a, "x"),
    Rule(70, "a' X b", "L = sum(i,j, a[i]*X[i,j]*b[j])", lambda a, b: outer(a, b)),
    Rule(71, "a' X' b", "L = sum(i,j, a[i]*X[j,i]*b[j])", lambda a, b: outer(b, a)),
    Rule(72, "a' X a", "L = sum(i,j, a[i]*X[i,j]*a[j])", lambda a: outer(a, a)),
    Rule(77, "b' X' X c", "L = sum(i,j,k, b[i]*X[k,i]*X[k,j]*c[j])", lambda X, b, c: X @ (outer(b, c) + outer(c, b))),
    Rule(
        78,
        "(Bx + b)' C (Dx + d)",
        "u[i] = sum(k, B[i,k]*x[k]) + b[i]\nv[j] = sum(k, D[j,k]*x[k]) + d[j]\nL = sum(i,j, u[i]*C[i,j]*v[j])",
        lambda x, B, b, C, D, d: B.T @ C @ (D @ x + d) + D.T @ C.T @ (B @ x + b),
        "x",
    ),
    Rule(81, "x' B x", "L = sum(i,j, x[i]*B[i,j]*x[j])", lambda x, B: (B + B.T) @ x, "x"),
    Rule(
        82,
        "b' X' D X c",
        "L = sum(m,i,j,l, b[m]*X[i,m]*D[i,j]*X[j,l]*c[l])",
        lambda X, D, b, c: D.T @ X @ outer(b, c) + D @ X @ outer(c, b),
    ),
    Rule(
        83,
        "(Xb + c)' D (Xb + c)",
        "u[i] = sum(k, X[i,k]*b[k]) + c[i]\nL = sum(i,j, u[i]*D[i,j]*u[j])",
        lambda X, D, b, c: outer((D + D.T) @ (X @ b + c), b),
    ),
    Rule(99, "tr X", "L = sum(i, X[i,i])", lambda X: np.eye(len(X))),
    Rule(100, "tr X A", "L = sum(i,j, X[i,j]*A[j,i])", lambda A: A.T),
    Rule(101, "tr A X B", "L = sum(i,j,k, A[k,i]*X[i,j]*B[j,k])", lambda A, B: A.T @ B.T),
    Rule(102, "tr A X' B", "L = sum(i,j,k, A[k,j]*X[i,j]*B[i,k])", lambda A, B: B @ A),
    Rule(103, "tr X' A", "L = sum(i,j, X[i,j]*A[i,j])", lambda A: A),
    Rule(104, "tr A X'", "L = sum(j,i, A[i,j]*X[i,j])", lambda A: A),
    Rule(
        105,
        "tr A ⊗ X",
        "K[i,k,j,l] = A[i,j]*X[k,l]\nL = sum(p,q, K[p,q,p,q])",
        lambda X, A: np.trace(A) * np.eye(len(X)),
    ),
    Rule(106, "tr X²", "L = sum(i,j, X[i,j]*X[j,i])", lambda X: 2 * X.T),
    Rule(107, "tr X² B", "L = sum(i,j,k, X[i,j]*X[j,k]*B[k,i])", lambda X, B: (X @ B + B @ X).T),
    Rule(108, "tr X' B X", "L = sum(m,i,j, X[i,m]*B[i,j]*X[j,m])", lambda X, B: B @ X + B.T @ X),
    Rule(109, "tr B X X'", "L = sum(i,j,m, B[i,j]*X[j,m]*X[i,m])", lambda X, B: B @ X + B.T @ X),
    Rule(110, "tr X X' B", "L = sum(i,m,j, X[i,m]*X[j,m]*B[j,i])", lambda X, B: B @ X + B.T @ X),
    Rule(111, "tr X B X'", "L = sum(m,i,j, X[m,i]*B[i,j]*X[m,j])", lambda X, B: X @ B.T + X @ B),
    Rule(112, "tr B X' X", "L = sum(i,j,m, B[i,j]*X[m,j]*X[m,i])", lambda X, B: X @ B.T + X @ B),
    Rule(113, "tr X' X B", "L = sum(i,m,j, X[m,i]*X[m,j]*B[j,i])", lambda X, B: X @ B.T + X @ B),
    Rule(
        114,
        "tr A X B X",
        "Y[i,l] = sum(j,k, X[i,j]*B[j,k]*X[k,l])\nL = sum(l,i, A[l,i]*Y[i,l])",
        lambda X, A, B: A.T @ X.T @ B.T + B.T @ X.T @ A.T,
    ),
    Rule(115, "tr X' X", "L = sum(i,j, X[i,j]^2)", lambda X: 2 * X),
    Rule(
        116,
        "tr B' X' C X B",
        "Y[i,k] = sum(m, X[i,m]*B[m,k])\nL = sum(i,j,k, Y[i,k]*C[i,j]*Y[j,k])",
        lambda X, B, C: (C + C.T) @ X @ B @ B.T,
    ),
    Rule(
        117,
        "tr X' B X C",
        "L = sum(m,i,j,l, X[i,m]*B[i,j]*X[j,l]*C[l,m])",
        lambda X, B, C: B @ X @ C + B.T @ X @ C.T,
    ),
    Rule(
        118,
        "tr A X B X' C",
        "Y[k,j] = sum(i,m, A[k,i]*X[i,m]*B[m,j])\nL = sum(k,j,i, Y[k,j]*X[i,j]*C[i,k])",
        lambda X, A, B, C: A.T @ C.T @ X @ B.T + C @ A @ X @ B,
    ),
    Rule(
        119,
        "tr (AXB + C)(AXB + C)'",
        "Y[p,q] = sum(i,j, A[p,i]*X[i,j]*B[j,q]) + C[p,q]\nL = sum(p,q, Y[p,q]^2)",
        lambda X, A, B, C: 2 * A.T @ (A @ X @ B + C) @ B.T,
    ),
    Rule(
        120,
        "tr X ⊗ X",
        "K[i,k,j,l] = X[i,j]*X[k,l]\nL = sum(p,q, K[p,q,p,q])",
        lambda X: 2 * np.trace(X) * np.eye(len(X)),
    ),
    Rule(121, "tr X⁴", FOURTH + "\nL = sum(i, Z[i,i])", lambda X: 4 * matrix_power(X, 3).T),
    Rule(
        122,
        "tr A X⁴",
        FOURTH + "\nL = sum(i,j, A[j,i]*Z[i,j])",
        lambda X, A: np.sum([(matrix_power(X, r) @ A @ matrix_power(X, 3 - r)).T for r in range(4)], axis=0),
    ),
    Rule(
        123,
        "tr B' X' C X X' C X B",
        "Y[i,k] = sum(m, X[i,m]*B[m,k])\nU[k,m] = sum(i,j, Y[i,k]*C[i,j]*X[j,m])\nV[m,k] = sum(i,j, X[i,m]*C[i,j]*Y[j,k])\n"
        "L = sum(k,m, U[k,m]*V[m,k])",
        lambda X, B, C: (
            (C @ X @ X.T @ C @ X + C.T @ X @ X.T @ C.T @ X) @ B @ B.T + C @ X @ B @ B.T @ X.T @ C @ X + C.T @ X @ B @ B.T @ X.T @ C.T @ X
        ),
    ),
    Rule(124, "tr A X⁻¹ B", "L = sum(j,k,i, B[j,k]*A[k,i]*inv(X)[i,j])", lambda X, A, B: -inv(X).T @ A.T @ B.T @ inv(X).T),
    Rule(
        125,
        "tr (X'CX)⁻¹ A",
        PRODUCT + "\nL = sum(m,l, inv(W)[m,l]*A[l,m])",
        lambda X, A, C: -(C @ X @ inv(X.T @ C @ X) @ A @ inv(X.T @ C @ X)) - C.T @ X @ (inv(X.T @ C @ X) @ A @ inv(X.T @ C @ X)).T,
    ),
    Rule(
        126,
        "tr (X'CX)⁻¹ X'BX",
        f"{PRODUCT}\nV[m,l] = sum(i,j, X[i,m]*B[i,j]*X[j,l])\nL = sum(m,l, inv(W)[m,l]*V[l,m])\n{SYMMETRIC}",
        lambda X, B, C: -2 * C @ X @ inv(X.T @ C @ X) @ X.T @ B @ X @ inv(X.T @ C @ X) + 2 * B @ X @ inv(X.T @ C @ X),
    ),
    Rule(
        127,
        "tr (A + X'CX)⁻¹ X'BX",
        f"{PRODUCT} + A[m,l]\nV[m,l] = sum(i,j, X[i,m]*B[i,j]*X[j,l])\nL = sum(m,l, inv(W)[m,l]*V[l,m])\n{SYMMETRIC}\nfact A[m,l] = A[l,m]",
        lambda X, A, B, C: -2 * C @ X @ inv(A + X.T @ C @ X) @ X.T @ B @ X @ inv(A + X.T @ C @ X) + 2 * B @ X @ inv(A + X.T @ C @ X),
    ),
)


def evaluate(rule: Rule, seed: int = 0) -> Result:
    """Derive a rule, check every line, and compare the kernel's gradient with the book and with central differences."""
    layer = rule.layer
    derivation = derive(layer)
    report = check_document(derivation.document())
    kernel = _kernel(rendered(derivation, ("numpy",))["numpy"], layer.name)
    values = _inputs(layer, seed)
    upstream = [np.ones(_shape(layer, layer.outputs[0]))]
    # Where there is a second output, the first alone counts: its derivative is asked for.
    upstream += [np.zeros(_shape(layer, name)) for name in layer.outputs[1:]]

    def value(moved: Array) -> float:
        outputs, _ = kernel.forward(*({**values, rule.wrt: moved}[name] for name in layer.inputs))
        return float(np.sum(outputs[0] if len(layer.outputs) > 1 else outputs))

    _, saved = kernel.forward(*(values[name] for name in layer.inputs))
    found = kernel.backward(*upstream, saved)
    book = rule.derivative(**{name: values[name] for name in inspect.signature(rule.derivative).parameters})
    return Result(
        rule,
        _printed(derivation),
        sum(len(proof.lines) for proof in report.proofs),
        report.ok,
        _distance(found, book),
        _distance(_differences(value, values[rule.wrt]), book),
    )


def _kernel(source: str, name: str) -> Any:
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def _sizes(layer: Layer) -> dict[str, int]:
    """Every axis of another length. Of a tall matrix the first axis is the longer one, so that X' C X is not singular."""
    return {axis: 2 + len(layer.dims) - n for n, axis in enumerate(sorted(layer.dims))}


def _shape(layer: Layer, name: str) -> tuple[int, ...]:
    return tuple(_sizes(layer)[axis] for axis in layer.tensor(name).dims)


def _inputs(layer: Layer, seed: int) -> dict[str, Array]:
    """Random inputs that respect the facts; square ones far from singular."""
    random = np.random.default_rng(seed)
    values = {name: random.standard_normal(_shape(layer, name)) for name in layer.inputs}
    for name, table in values.items():
        if table.ndim == 2 and layer.tensor(name).dims[0] == layer.tensor(name).dims[1]:
            values[name] = table + 3 * np.eye(len(table))
    for item in layer.facts:
        name = symmetric(item) or ""
        values[name] = values[name] + values[name].T
    return values


def _differences(value: Callable[[Array], float], at: Array, step: float = 1e-5) -> Array:
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        moved = np.zeros(at.shape)
        moved[place] = step
        found[place] = (value(at + moved) - value(at - moved)) / (2 * step)
    return found


def _distance(found: Array, wanted: Array) -> float:
    """The largest difference, relative to the largest entry; infinite where the shapes differ."""
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.max(np.abs(found - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))


def _printed(derivation: Any) -> str:
    """Every lemma on the way, a line each: in matrix form where it has one."""
    lines = []
    for proof in derivation.lemmas:
        where = context((t.name for t in proof.tensors), proof.batch)
        lines.append(write(proof.result) if proof.matrix is None else f"{proof.name} = {matrix_text(proof.matrix, where)}")
    return "\n".join(lines)


def main() -> int:
    """Print the table; exit code 1 unless every equation is derived, checked and equal to the book."""
    console = Console()
    rows = Table(title="The derivatives of the Matrix Cookbook in SymPy's tests")
    for name, justify in (("no.", "right"), ("d of", "left"), ("gradients", "left"), ("lines", "right"), ("hold", "left")):
        rows.add_column(name, justify=justify)  # type: ignore[arg-type]
    rows.add_column("error", justify="right")
    results = [evaluate(rule) for rule in RULES]
    for each in results:
        held = "all" if each.holds else "NOT ALL"
        rows.add_row(str(each.rule.number), each.rule.formula, escape(each.gradients), str(each.lines), held, f"{each.against_book:.0e}")
    console.print(rows)
    good, worst = sum(each.ok for each in results), max(each.against_book for each in results)
    console.print(
        f"{good} of {len(RULES)} derived, every one of {sum(each.lines for each in results)} lines checked, "
        f"equal to the book's closed form within {worst:.0e}."
    )
    return 0 if good == len(RULES) else 1


if __name__ == "__main__":
    sys.exit(main())
