"""The book: every layer's page, an index by topic and by symbol, a search that needs no server, and one LaTeX document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from derive.expr import Equation, Fn, walk
from derive.render import formula_latex as formula
from derive.render import latex, site
from derive.render.blocks import Block, Chain, Heading, Page
from derive.render.html import Section, article, katex, slug
from derive.render.kernels import Origin, section
from derive.render.layout import of_expr
from derive.render.notation import latex_tensor
from derive.render.page import page, proof_blocks
from derive.render.picture import SHADES


@dataclass(frozen=True)
class Entry:
    """What the book says of one layer: its page's content and sections, its LaTeX, and what the indexes list it under."""

    name: str
    about: str
    symbols: tuple[tuple[str, str], ...]
    """Each tensor's name, and its LaTeX."""
    functions: tuple[str, ...]
    rules: tuple[str, ...]
    content: str
    sections: tuple[Section, ...]
    tex: str


def entry(derivation: Any, report: Any, kernels: Mapping[str, str], detail: str = "full") -> Entry:
    """The entry of a derivation; `kernels` are its generated modules by target, and `detail` is what is printed on paper."""
    made = page(derivation, "baby", report)
    layer = derivation.layer
    paper = latex.body(coarser(made, detail))
    if kernels:
        # Forward mode is derived for the kernels alone; here its proofs stand beside them.
        tangents = (block for proof in derivation.forward_mode for block in proof_blocks(proof, "baby"))
        made = replace(made, blocks=(*made.blocks, Heading("Forward mode", 2), *tangents))
    content, sections = article(made)
    if kernels:
        where = replace(made.where, marked=True)

        def drawn(equation: Equation) -> str:
            left, right = (formula.flowing(formula.pieces(of_expr(e, where), where)) for e in (equation.target, equation.value))
            return katex(f"\\displaystyle {left}=\\nobreak {right}")

        content += f'<section id="kernels">\n<h2>Kernels</h2>\n{section(kernels, _origins(derivation, sections), drawn)}\n</section>\n'
        sections = (*sections, Section("kernels", "Kernels", 2))
    names = dict.fromkeys(t.name for t in derivation.tensors)
    nodes = [node for e in layer.equations for node in walk(e.value)]
    return Entry(
        name=layer.name,
        about=layer.doc.strip().partition("\n")[0],
        symbols=tuple((name, latex_tensor(name, made.where)) for name in names),
        functions=tuple(dict.fromkeys(node.name for node in nodes if isinstance(node, Fn))),
        rules=tuple(dict.fromkeys(step.rule.replace("_", " ") for p in derivation.proofs for step in p.steps)),
        content=content,
        sections=sections,
        tex=paper,
    )


def coarser(made: Page, detail: str) -> Page:
    """The page of a coarser level of detail, from one that was made at the finest."""

    def lines(block: Block) -> Block:
        if not isinstance(block, Chain):
            return block
        shown = ((line.expr, dict(line.reasons)) for line in block.every)
        return replace(block, lines=tuple((expr, reasons[detail]) for expr, reasons in shown if detail in reasons))

    return replace(made, blocks=tuple(lines(block) for block in made.blocks))


def _origins(derivation: Any, sections: Sequence[Section]) -> dict[str, Origin]:
    """What a kernel computes, tensor by tensor: the last line of the proof that it was printed from, and where that proof is."""
    found = {e.target.tensor: Origin(e) for e in (*derivation.forward, *derivation.backward, *derivation.tangents)}
    given = next(s for s in sections if s.level == 2 and s.anchor == "given")
    for equation in derivation.layer.equations:
        if found.get(equation.target.tensor) == Origin(equation):
            found[equation.target.tensor] = Origin(equation, given.title, given.anchor)
    titles = {s.anchor: s.title for s in sections if s.level == 3}
    for proof in (*derivation.proofs, *derivation.forward_mode):
        if proof.kind in ("theorem", "invariant"):
            continue
        # The last of the proofs about a tensor is the one in finite form.
        ends = [anchor for anchor in titles if re.fullmatch(rf".*-{re.escape(slug(proof.name))}(-\d+)?", anchor)]
        if ends:
            found[proof.goal.target.tensor] = Origin(proof.result, titles[ends[-1]], ends[-1])
    return found


# ---------------------------------------------------------------------------------------------------- the site


def files(topics: Sequence[tuple[str, Sequence[Entry]]], pdf: bool) -> dict[str, str | bytes]:
    """Path in the book's folder -> content; KaTeX, the styles and the scripts are there once for all pages."""
    found: dict[str, str | bytes] = {f"assets/{name}": content for name, content in _assets().items()}
    every = [made for _, entries in topics for made in entries]
    found["assets/search.js"] = "const LAYERS = " + _index(topics) + ";\n"
    for n, made in enumerate(every):
        before, after = every[n - 1] if n else None, every[n + 1] if n + 1 < len(every) else None
        found[f"layers/{made.name}.html"] = _shell(made.name, _layer(made, before, after), "../")
    found["index.html"] = _shell("gradproof: the book", _contents(topics, pdf), "")
    found["symbols.html"] = _shell("gradproof: symbols", _symbols(every), "")
    return found


def _assets() -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {
        "page.css": site.own("page.css") + SHADES,
        "page.js": site.own("page.js"),
        "book.js": site.own("book.js"),
    }
    for path in sorted(site.KATEX.rglob("*")):
        if path.is_file():
            found[f"katex/{path.relative_to(site.KATEX).as_posix()}"] = path.read_bytes()
    sheet = found["katex/katex.min.css"]
    assert isinstance(sheet, bytes)
    # Only the fonts that are here; the other formats of the same fonts are for browsers of long ago.
    found["katex/katex.min.css"] = re.sub(rb',url\([^)]*\.(woff|ttf)\) format\("\w+"\)', b"", sheet)
    return found


def _shell(title: str, body: str, root: str) -> str:
    head = "\n".join(f'<link rel="stylesheet" href="{root}assets/{name}">' for name in ("katex/katex.min.css", "page.css"))
    scripts = ("katex/katex.min.js", "page.js", "search.js", "book.js")
    foot = "\n".join(f'<script src="{root}assets/{name}"></script>' for name in scripts)
    return site.shell(title, head, body, foot)


def _search(root: str) -> str:
    return (
        f'<p class="home"><a href="{root}index.html">gradproof</a> · <a href="{root}symbols.html">symbols</a></p>\n'
        f'<div class="search" data-root="{root}"><input type="search" placeholder="search" aria-label="search"><ol hidden></ol></div>\n'
    )


def _layer(made: Entry, before: Entry | None, after: Entry | None) -> str:
    ways = [f'<a rel="prev" href="{before.name}.html">← {escape(before.name)}</a>' if before else "<span></span>"]
    ways.append(f'<a rel="next" href="{after.name}.html">{escape(after.name)} →</a>' if after else "<span></span>")
    turn = f'<div class="turn">{"".join(ways)}</div>\n'
    return site.frame(made.content + turn, made.sections, _search("../"))


def _contents(topics: Sequence[tuple[str, Sequence[Entry]]], pdf: bool) -> str:
    parts = [f"<h1>Gradients of {sum(len(entries) for _, entries in topics)} layers, step by step</h1>"]
    said = "A checker that shares no code with what derived them verifies every line: <code>derive check NAME</code>."
    parts.append(f"<p>{said}</p>")
    if pdf:
        parts.append('<p><a href="book.pdf">The same on paper (PDF)</a></p>')
    for topic, entries in topics:
        rows = "\n".join(f'<dt><a href="layers/{e.name}.html">{escape(e.name)}</a></dt><dd>{escape(e.about)}</dd>' for e in entries)
        parts.append(f'<section id="{slug(topic)}">\n<h2>{escape(topic)}</h2>\n<dl class="layers">\n{rows}\n</dl>\n</section>')
    sections = tuple(Section(slug(topic), escape(topic), 2) for topic, _ in topics)
    return site.frame("\n".join(parts), sections, _search(""), detail=False)


def _symbols(every: Sequence[Entry]) -> str:
    """Where each symbol, each function and each rule occurs."""
    symbols: dict[str, list[str]] = {}
    drawn: dict[str, str] = {}
    functions: dict[str, list[str]] = {}
    rules: dict[str, list[str]] = {}
    for made in every:
        for name, tex in made.symbols:
            symbols.setdefault(name, []).append(made.name)
            drawn.setdefault(name, katex(tex))
        for name in made.functions:
            functions.setdefault(name, []).append(made.name)
        for name in made.rules:
            rules.setdefault(name, []).append(made.name)
    lists = (
        ("Tensors", {drawn[name]: symbols[name] for name in sorted(symbols, key=lambda name: (name.lower(), name))}),
        ("Functions", {f"<code>{name}</code>": functions[name] for name in sorted(functions)}),
        ("Rules", {escape(name): rules[name] for name in sorted(rules)}),
    )
    parts = ["<h1>Symbols</h1>"]
    for title, found in lists:
        rows = []
        for what, where in found.items():
            links = ", ".join(f'<a href="layers/{name}.html">{escape(name)}</a>' for name in where)
            rows.append(f"<dt>{what}</dt><dd>{links}</dd>")
        parts.append(f'<section id="{slug(title)}">\n<h2>{title}</h2>\n<dl class="symbols">\n' + "\n".join(rows) + "\n</dl>\n</section>")
    return site.frame("\n".join(parts), tuple(Section(slug(t), t, 2) for t, _ in lists), _search(""), detail=False)


def _index(topics: Sequence[tuple[str, Sequence[Entry]]]) -> str:
    rows = [
        [made.name, made.about, " ".join([topic, *made.functions, *made.rules, *(name for name, _ in made.symbols)])]
        for topic, entries in topics
        for made in entries
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------------------------------------------- on paper


def document(topics: Sequence[tuple[str, Sequence[Entry]]]) -> str:
    """One LaTeX document; links and bookmarks are right after a single run."""
    out = [latex.PREAMBLE + "\\usepackage[hidelinks]{hyperref}\n\\usepackage{bookmark}\n\\begin{document}"]
    out.append("\\begin{center}\\Large gradproof: gradients of layers, step by step\\end{center}\n")
    for topic, entries in topics:
        rows = ", ".join(f"\\hyperlink{{{e.name}}}{{{formula.escaped(e.name)}}}" for e in entries)
        out.append(f"\\paragraph{{{formula.escaped(topic)}}} {rows}\n")
    for topic, entries in topics:
        for n, made in enumerate(entries):
            out.append("\\clearpage")
            if n == 0:
                out.append(f"\\bookmark[dest={made.name},level=0]{{{formula.escaped(topic)}}}")
            out.append(f"\\hypertarget{{{made.name}}}{{}}\\bookmark[dest={made.name},level=1]{{{formula.escaped(made.name)}}}")
            out.append(made.tex)
    return "\n".join([*out, "\\end{document}\n"])
