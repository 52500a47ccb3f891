"""Source text of a layer's kernels: templates filled in and formatted. Nothing is written here."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from codegen.lower import lower
from codegen.passes import optimize
from codegen.program import Program
from codegen.targets import numpy as numpy_target
from codegen.targets import torch as torch_target

LINE_LENGTH = 120


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


def program_of(derivation: Any) -> Program:
    """The optimized program of a derivation."""
    return optimize(lower(derivation))


def numpy_source(derivation: Any, program: Program) -> str:
    return _filled("numpy.py.jinja", numpy_target.context(derivation, program))


def torch_source(derivation: Any, program: Program) -> str:
    return _filled("torch.py.jinja", torch_target.context(derivation, program))


def _filled(template: str, fields: dict[str, Any]) -> str:
    return formatted(_templates().get_template(template).render(fields))


def formatted(source: str) -> str:
    """`source` as `ruff format` prints it, whatever configuration lies around."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--quiet", f"--line-length={LINE_LENGTH}", "--target-version=py310", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ruff could not format a generated module:\n{done.stderr}\n{source}")
    return done.stdout
