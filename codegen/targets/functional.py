"""The functions of torch.nn.functional over the kernels: signatures -> the finished lines of `templates/functional.py.jinja`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from codegen.support import functional_support, window_support
from codegen.targets.support import functions_called

_KERNEL = re.compile(r"@(\w+)\(")


def context(signatures: Iterable[Any]) -> dict[str, Any]:
    """Every field of the template. Each signature is a `derive.layers.signatures.form.Signature`."""
    listed = tuple(signatures)
    functions = [_function(signature) for signature in listed]
    lines = [line for function in functions for line in function["lines"]]
    kernels = sorted({name for signature in listed for name in layers_of(signature)})
    windows = functions_called(window_support, lines)
    support = [*functions_called(functional_support, [*lines, *windows]), *windows]
    return {
        "kernels": [f"from generated.torch.{name} import {name} as _{name}_kernel" for name in kernels],
        "imports": ["import math"] if any("math." in line for line in [*lines, *support]) else [],
        "functions": functions,
        "names": sorted(signature.name for signature in listed),
        "support": support,
    }


def layers_of(signature: Any) -> tuple[str, ...]:
    """The layers that a signature calls, in order of first appearance."""
    return tuple(dict.fromkeys(_KERNEL.findall(signature.body)))


def _function(signature: Any) -> dict[str, Any]:
    reals = signature.reals.split()
    body = _KERNEL.sub(r"_\1_kernel(", signature.body)
    names = [part.partition("=")[0].strip() for part in signature.parameters.split(",") if part.strip() != "*"]
    lines = [*_prologue(signature, reals, names), *_results(body).splitlines()] if reals else body.splitlines()
    return {
        "name": signature.name,
        "parameters": _parameters(signature.parameters),
        "returns": signature.returns,
        "doc": f"torch.nn.functional.{signature.name}, by {_listing(layers_of(signature))}.",
        "lines": lines,
    }


def _prologue(signature: Any, reals: list[str], names: list[str]) -> list[str]:
    """What every function begins with: autocast, and the types of its arguments."""
    autocast = f'return _cast("{signature.autocast}", {signature.name}, {", ".join(names)})'
    lines = [f"if _autocasting({reals[0]}):", f"    {autocast}"]
    if "dtype" in names:
        lines += ["if dtype is not None:", f"    {reals[0]} = {reals[0]}.to(dtype)"]
    if "given" in re.findall(r"\w+", signature.body):
        lines.append(f"given = {reals[0]}")
    passed = ", ".join(f"{name}={name}" for name in reals)
    return [*lines, f'kind, {", ".join(reals)} = _given("{signature.name}", "{signature.mixed}", {passed})']


def modules_context(modules: Iterable[Any]) -> dict[str, Any]:
    """Every field of `templates/modules.py.jinja`, from `derive.layers.signatures.modules.Module`."""
    listed = tuple(modules)
    return {
        "names": sorted((module.name for module in listed), key=lambda name: (not name.isupper(), name)),
        "modules": [
            {"name": module.name, "parameters": _parameters(module.parameters), "lines": module.forward.splitlines()} for module in listed
        ],
    }


def _results(body: str) -> str:
    """The statements, in which everything that is returned, of several values the first, gets the type of the result."""
    rows = body.splitlines()
    found = [node.value for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Return) and node.value is not None]
    found = [value.elts[0] if isinstance(value, ast.Tuple) else value for value in found]
    for value in sorted(found, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        assert value.end_lineno is not None and value.end_col_offset is not None
        before, after = ("", "") if isinstance(value, (ast.Call, ast.Name, ast.Subscript)) else ("(", ")")
        last = rows[value.end_lineno - 1]
        rows[value.end_lineno - 1] = f"{last[: value.end_col_offset]}{after}.to(kind){last[value.end_col_offset :]}"
        first = rows[value.lineno - 1]
        rows[value.lineno - 1] = f"{first[: value.col_offset]}{before}{first[value.col_offset :]}"
    return "\n".join(rows)


def _parameters(text: str) -> str:
    found = [part.strip().partition("=") for part in text.split(",")]
    return ", ".join(name if name == "*" else f"{name}: Any{' = ' * bool(equals)}{default}" for name, equals, default in found)


def _listing(names: tuple[str, ...]) -> str:
    if not names:
        return "other functions of this module"
    return "the kernels of " + (names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}")
