"""The words of the notations that a formula may be written in: LaTeX, NumPy, PyTorch and paper, in terms of one of them."""

from __future__ import annotations

LATEX = {"odot": "*", "circ": "*", "cdot": "@", "times": "@", "top": "T", "intercal": "T", "sum": "Σ", "le": "<=", "ge": ">="}
LATEX.update({"leq": "<=", "geq": ">=", "lt": "<", "gt": ">", "lbrack": "[", "rbrack": "]"})
SIGNS = {"∘": "*", "⊙": "*", "·": "@", "⋅": "@", "×": "@", "∑": "Σ", "−": "-", "⊤": "ᵀ", "**": "^", "′": "'"}
SILENT = (
    "left",
    "right",
    "big",
    "Big",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "mathbf",
    "mathrm",
    "mathit",
    "boldsymbol",
    "bm",
    "operatorname",
    "text",
)
MODULES = ("np", "numpy", "torch", "F", "jnp", "math", "nn", "functional", "linalg", "special")
REDUCTIONS = ("sum", "mean")
_ONE = "exp log sqrt tanh erf sigmoid relu abs sign softplus sin cos softmax rowsum colsum inv det trace diag onehot size square transpose"
FUNCTIONS: dict[str, int] = dict.fromkeys(f"{_ONE} ones_like zeros_like".split(), 1)
FUNCTIONS.update(dict.fromkeys(("outer", "delta", "dot", "maximum", "minimum"), 2))
FUNCTIONS["where"] = 3
"""The functions a formula may use, with the arguments each takes."""
OPERATORS = ("mul", "div", "add", "subtract", "pow", "neg", "reciprocal")
"""Operators that are written as functions."""
SAME = {
    "dot": "matmul mm mv",
    "log": "ln",
    "trace": "tr Tr",
    "mul": "multiply mul",
    "div": "divide true_divide div",
    "add": "add",
    "subtract": "subtract sub",
    "neg": "negative neg",
    "pow": "power pow",
    "onehot": "one_hot",
    "maximum": "max",
    "minimum": "min",
    "outer": "ger",
    "sign": "sgn",
    "diag": "diagflat",
    "sigmoid": "expit sigma σ",
    "abs": "absolute",
    "einsum": "einsum",
    "len": "len",
    "reciprocal": "reciprocal",
}
ALSO = {word: function for function, words in SAME.items() for word in words.split()}
"""Other names of functions."""
