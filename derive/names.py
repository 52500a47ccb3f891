"""What a layer may be called: its name becomes a file, a Python module and a function in it."""

from __future__ import annotations

import builtins
import keyword

from derive.errors import SpecError

RESERVED = frozenset(
    (
        *("np", "math", "torch", "Any", "NamedTuple", "NDArray", "Array", "Tensor", "Saved", "saved", "forward", "backward", "jvp"),
        *("ctx", "needs", "inputs", "output", "outputs", "grads", "given", "tangents", "tensors", "annotations"),
        *("float", "int", "len", "range", "tuple", "next", "iter", "zip", "list", "dict", "str", "type", "isinstance"),
    )
)
"""Names that generated modules use themselves."""


def check_kernel_name(name: str) -> None:
    """Raises SpecError unless a kernel, its module and its test can have this name."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise SpecError(f"a kernel cannot be named {name!r}: it becomes a Python function; use letters, digits and _")
    if name in RESERVED or hasattr(builtins, name) or name.startswith("_"):
        raise SpecError(f"a kernel cannot be named {name!r}: the generated module uses that name itself; call it {name.strip('_')}_layer")
    if name.startswith("test_") or name == "conftest":
        other = name.removeprefix("test_") or "layer"
        raise SpecError(f"a kernel cannot be named {name!r}: pytest would take its modules for tests; call it {other}_layer")
