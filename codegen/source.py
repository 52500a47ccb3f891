"""Source text of a layer's kernels: templates filled in and formatted. Nothing is written here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from codegen.lower import lower
from codegen.passes import optimize
from codegen.program import Program
from codegen.targets import autograd_test, library, numpy, torch
from codegen.targets import functional as functions

LINE_LENGTH = 140

TEMPLATES: dict[str, tuple[str, Callable[[Any, Program], dict[str, Any]]]] = {
    "numpy": ("numpy.py.jinja", numpy.context),
    "torch": ("torch.py.jinja", torch.context),
    "library": ("library.py.jinja", library.context),
    "test": ("test.py.jinja", autograd_test.context),
}
"""Target -> its template, and what fills it."""


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def program_of(derivation: Any, without: Collection[str] = ()) -> Program:
    """The optimized program of a derivation; some passes may be left out."""
    return optimize(lower(derivation), without)


def sources(derivation: Any, targets: tuple[str, ...] = ("numpy", "torch"), without: Collection[str] = ()) -> dict[str, str]:
    """Target -> the formatted text of its module. Raises NotImplementedError for what a target cannot express yet."""
    return formatted(rendered(derivation, targets, without))


def rendered(derivation: Any, targets: tuple[str, ...] = ("numpy", "torch"), without: Collection[str] = ()) -> dict[str, str]:
    """Target -> the text of its module before it is formatted, for many of them to be formatted together."""
    program = program_of(derivation, without)
    texts = {}
    for target in targets:
        template, context = TEMPLATES[target]
        if target == "library":
            program = program_of(derivation, (*without, *library.PASSES))
        texts[target] = _templates().get_template(template).render(context(derivation, program))
    return texts


def over_kernels() -> dict[str, str]:
    """Path below generated/ -> the text of a module over all kernels, before it is formatted."""
    from derive.layers.signatures import MODULES, SIGNATURES

    return {
        "torch/functional.py": _templates().get_template("functional.py.jinja").render(functions.context(SIGNATURES)),
        "torch/modules.py": _templates().get_template("modules.py.jinja").render(functions.modules_context(MODULES)),
    }


def formatted(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts as one run of `ruff format` prints them, whatever configuration lies around."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{n}.py" for n, name in enumerate(texts)}
        for name, text in texts.items():
            paths[name].write_text(text, encoding="utf-8")
        options = ["--isolated", "--quiet", "--no-cache", f"--line-length={LINE_LENGTH}", "--target-version=py310"]
        done = subprocess.run([sys.executable, "-m", "ruff", "format", *options, folder], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ruff could not format a generated module: {done.stderr or done.stdout}")
        return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
