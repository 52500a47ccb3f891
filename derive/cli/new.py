"""`derive new`: a file of one layer that works as it stands, to be written over with a layer of one's own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from derive.cli.arguments import Parser
from derive.errors import SpecError
from derive.names import check_kernel_name

PYTHON = '''\
"""{name}: a layer to be written over. `derive {file}` proves its gradients, `codegen {file} -o kernels` writes its kernels."""

from sympy import Eq, Sum, sqrt

from derive import Layer, axes, tensors

# Each index with its axis, n:N; an axis by itself, C, stands for its length. Each tensor with its axes;
# y[N]:int would hold integers to index by, T[N,C]:const numbers that need no gradient.
n, c, C = axes("n:N c:C C")
X, g, s, Y = tensors("X[N,C] g[C] s[N] Y[N,C]")

# Later equations may use earlier ones; the last is the output.
{constant} = Layer("{name}", [Eq(s[n], Sum(X[n, c] ** 2, c) / C), Eq(Y[n, c], g[c] * X[n, c] / sqrt(s[n] + 1e-6))])
'''

TEXT = """\
# {name}: a layer to be written over. `derive {file}` proves its gradients, `codegen {file} -o kernels` writes its kernels.
# One equation a line: later ones may use earlier ones, the last is the output. Every tensor that no line defines is an
# input with a gradient; `const T` would name one without, `int y:C` one of integers below the length of axis C.
axes n:N c:C
s[n]   = sum(c, X[n,c]^2) / size(c)
Y[n,c] = g[c] * X[n,c] / sqrt(s[n] + 1e-6)
"""


def new(words: list[str]) -> int:
    """Write the file and say what to do with it; raises SpecError for a name that will not do."""
    parser = Parser("derive new", "Write a file of one layer that works as it stands, to start from.")
    parser.add_argument("name", metavar="NAME", help="what the layer, its file and its kernels are called: letters, digits and _")
    parser.add_argument("--text", action="store_true", help="write NAME.layer in the text form instead of NAME.py in SymPy")
    options = parser.parse_args(words)
    _check(options.name)
    from derive.cli.output import write

    file = f"{options.name}.{'layer' if options.text else 'py'}"
    template = TEXT if options.text else PYTHON
    write(Path(file), template.format(name=options.name, file=file, constant=options.name.upper()), fresh=True)
    print(f"wrote {file}; it works as it stands:")
    steps = (
        (f"derive {file}", "its gradients, their proof, and the checker's verdict"),
        (f"codegen {file} -o kernels", "NumPy and torch kernels, and a test of them"),
        ("pytest kernels", "the kernels against autograd"),
    )
    wide = max(len(command) for command, _ in steps)
    for command, about in steps:
        print(f"  {command.ljust(wide)}   {about}")
    return 0


def _check(name: str) -> None:
    """Raises SpecError for a name that the file, the layer or the kernels cannot have."""
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix in ("py", "layer"):
        raise SpecError(f"derive new takes a name, not a file; write derive new {Path(stem).name}{' --text' if suffix == 'layer' else ''}")
    if not name.isascii():
        raise SpecError(f"{name!r} cannot be a layer's name: use the letters a to z, digits and _")
    check_kernel_name(name)
    # The file's folder leads the path when its layers are read, so it would be imported in place of that module.
    if name in sys.stdlib_module_names or _is_module(name):
        raise SpecError(f"{name}.py would hide Python's own module {name}; call it {name}_layer")


def _is_module(name: str) -> bool:
    """Whether an installed package has this name; files of the folder one works in do not count."""
    spec = importlib.util.find_spec(name)
    here = Path.cwd().resolve()
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve().parent != here
