"""A generated kernel beside the proofs it was printed from: each statement next to the line that it computes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from derive.expr import Equation

METHODS = {
    ("", "forward"): "forward",
    ("", "backward"): "backward",
    ("", "jvp"): "jvp",
    ("_Forward", "forward"): "forward",
    ("_Backward", "forward"): "backward",
    ("_DualForward", "jvp"): "jvp",
}
"""The passes by class and function; torch's second order is derived anew, from the backward pass as a layer, and is left out."""

STATES = re.compile(r"\s+# (?:[A-Z][a-z ]+: )?(\w+)(?:\[[^=]*\])? = .*")


@dataclass(frozen=True)
class Statement:
    """Some lines of a kernel and the tensor whose equation stands above them."""

    computes: str
    code: str


def statements(source: str) -> tuple[tuple[str, tuple[Statement, ...]], ...]:
    """The statements of each pass of a kernel, as the comments over them say what they compute.

    Kernels say each equation in a comment and then compute it; what has no such comment (checks, shapes) is left out.
    """
    found: list[tuple[str, list[Statement]]] = []
    owner = ""
    computes, code = "", list[str]()

    def finish() -> None:
        nonlocal computes, code
        if computes and code:
            found[-1][1].append(Statement(computes, _outdented(code)))
        computes, code = "", []

    for line in source.splitlines():
        opened = re.match(r"class (\w+)|(\s*)def (\w+)", line)
        stated = STATES.fullmatch(line)
        if opened or not line.strip() or re.match(r"\s*(return|if need_|else)\b", line):
            finish()
            if opened and opened.group(1):
                owner = opened.group(1)
            elif opened:
                owner = owner if opened.group(2) else ""
                found.append((METHODS.get((owner, opened.group(3)), ""), []))
        elif stated:
            finish()
            computes = stated.group(1)
            code = [line]
        elif computes:
            code.append(line)
    finish()
    return tuple((name, tuple(made)) for name, made in found if made and name)


def _outdented(lines: list[str]) -> str:
    indent = min(len(line) - len(line.lstrip()) for line in lines)
    return "\n".join(line[indent:] for line in lines)


@dataclass(frozen=True)
class Origin:
    """The equation that a statement computes, and the proof that ends in it: its title (HTML) and where it stands on the page."""

    equation: Equation
    title: str = ""
    anchor: str = ""


def section(sources: Mapping[str, str], origins: Mapping[str, Origin], formula: Callable[[Equation], str]) -> str:
    """The kernels as HTML: on the left the code, on the right what it was printed from. `formula` draws an equation."""
    out = []
    for target, source in sources.items():
        for name, made in statements(source):
            rows = []
            for statement in made:
                origin = origins.get(statement.computes)
                says = ""
                if origin is not None:
                    link = f'<div><a href="#{origin.anchor}">{origin.title}</a></div>' if origin.anchor else ""
                    says = link + formula(origin.equation)
                rows.append(f"<tr><td><pre>{escape(statement.code, quote=False)}</pre></td><td>{says}</td></tr>")
            body = "\n".join(rows)
            out.append(
                f'<details class="proof" open>\n<summary><h3>{target}: {name}</h3></summary>\n<table class="pairs">\n{body}\n</table>'
            )
            out.append("</details>")
        whole = escape(source, quote=False)
        out.append(f'<details class="source"><summary>{target}: the whole module</summary>\n<pre>{whole}</pre>\n</details>')
    return "\n".join(out)
