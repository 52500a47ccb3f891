"""A layer's kernel without a file: derived, generated and imported in one call."""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Collection
from types import ModuleType
from typing import Any

from codegen.source import sources
from derive.engine import Derivation, derive
from derive.errors import SpecError, listing

TARGETS = ("numpy", "torch", "library")


def kernel(layer: Any, target: str = "torch", without: Collection[str] = ()) -> Any:
    """The kernel of a `Layer`, or of a `Derivation` that is there already.

    For "torch" it is the differentiable function, with the layer's inputs in their order as arguments, and for "library" the same
    registered with torch.library as operators; for "numpy" the module, with `forward`, `backward` and `jvp`. It is what
    `codegen FILE -o DIR` would write: `inspect.getsource` shows it. Nothing is cached: keep what is returned. `without` names
    passes to leave out: without "saving", the backward pass makes anew what it needs beside inputs and outputs. Raises SpecError for a
    layer that cannot be derived, a name that no kernel can have, or another target.
    """
    if target not in TARGETS:
        raise SpecError(f"there is no target {target!r}; choose {listing(TARGETS)}")
    from derive.lemma import CannotDerive
    from derive.names import check_kernel_name
    from derive.spec import Layer

    if not isinstance(layer, (Layer, Derivation)):
        hint = "derive.layers.layer(NAME) is one of the catalogue, Layer.parse(NAME, TEXT) reads one"
        raise SpecError(f"a kernel is made of a Layer or a Derivation, not of a {type(layer).__name__}; {hint}")
    name = layer.layer.name if isinstance(layer, Derivation) else layer.name
    check_kernel_name(name)
    try:
        derivation = layer if isinstance(layer, Derivation) else derive(layer)
        source = sources(derivation, (target,), without)[target]
    except (CannotDerive, NotImplementedError) as error:
        raise SpecError(f"{name}: {error}") from None
    made = _module(name, target, source)
    return made if target == "numpy" else getattr(made, name)


_COUNT = itertools.count()


def _module(name: str, target: str, source: str) -> ModuleType:
    """The module of a source text. It is known by name to `sys.modules`, where torch.compile looks, and its lines to tracebacks."""
    module = ModuleType(f"gradproof_{target}_{name}_{next(_COUNT)}")
    module.__file__ = f"<{module.__name__}>"
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return module
