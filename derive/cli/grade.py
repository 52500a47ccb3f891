"""`derive grade`: whether a person's gradient is right, and where it is not, what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from derive.cli.arguments import Parser, filled
from derive.errors import SpecError

if TYPE_CHECKING:
    from derive.tutor import Verdict

EPILOG = """examples:
  derive grade linear "dW = X^T dY"                       matrix notation; NumPy, PyTorch and LaTeX spellings too
  derive grade linear "dW[k,j] = sum(i, X[i,k]*dY[i,j])"  index notation
  derive grade linear "dW[k,j] = X[i,k] dY[i,j]"          the summation convention: i stands twice, so it is summed
  derive grade softmax "dS = P * (dP - np.sum(P * dP, axis=1, keepdims=True))"
  derive grade attention my_derivation.txt                a line each, names of your own allowed; stops at the first that does not follow
"""


def grade(words: list[str]) -> int:
    """0 where every line is right, 1 where one is wrong, 2 where one cannot be read."""
    parser = Parser("derive grade", "Grade a gradient: is it right, and if not, what is wrong with it?", EPILOG)
    parser.add_argument("layer", help="a layer's name, a formula, or a file (FILE:NAME)")
    wanted = filled("an equation, such as dW = X^T dY, or the name of a file")
    parser.add_argument("formula", type=wanted, help='the gradient, such as "dW = X^T dY", or a file with a line each')
    options = parser.parse_args(words)
    from derive.cli.find import find, read
    from derive.cli.pages import derived
    from derive.tutor import Tutor

    layers = find(options.layer)
    if len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise SpecError(f"{options.layer} has several layers ({names}); choose one: {options.layer}:{layers[0].name}")
    written = options.formula
    is_file = "=" not in written or "\n" not in written and len(written) < 200 and Path(written).is_file()
    if is_file and not Path(written).exists():
        raise SpecError(f"{written!r} is neither an equation, such as dW = X^T dY, nor a file")
    tutor = Tutor(derived(layers[0]))
    if not is_file and "\n" not in written:
        return _say(tutor.grade(written), False)
    code = 0
    for verdict in tutor.grade_lines(read(Path(written)) if is_file else written):
        code = _say(verdict, True)
    if not code:
        print("Every line follows.")
    return code


def _say(verdict: Verdict, numbered: bool) -> int:
    where = f"line {verdict.line}: " if numbered else ""
    if verdict.outcome == "unreadable":
        lines = [f"derive grade: {where}{verdict.message}"]
        if verdict.column is not None:
            lines += [f"    {verdict.source}", f"    {' ' * verdict.column}^"]
        print("\n".join(lines), file=sys.stderr)
    else:
        print(f"{where}{verdict.message}")
    return verdict.code
