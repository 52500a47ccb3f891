"""A line of a person's derivation: what stands on its left, and what its right side mentions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from derive.tutor import reading
from derive.tutor.judge import Setting
from derive.tutor.lexing import tokenize
from derive.tutor.tree import Node, Unreadable


@dataclass(frozen=True)
class Claim:
    """A line as read: what it says it is, the formula, and the names of the indices on its left."""

    name: str
    node: Node
    indices: tuple[Node, ...] | None
    source: str
    number: int
    setting: Setting
    over: tuple[str, ...] = ()
    """The indices that are summed by convention."""

    @property
    def left(self) -> str:
        return self.source[: equals(self.source)].strip().rstrip(":")


def left(written: str, names: Collection[str], prefix: str) -> tuple[str, tuple[Node, ...] | None]:
    """The name on the left of a line, `dL/dW` read as dW, and its indices; `names` are the known ones, `prefix` that of a gradient."""
    cleaned = re.sub(r"\\partial|\\mathrm\{d\}", "∂", written).strip()
    start = len(written) - len(written.lstrip())
    fraction = re.fullmatch(r"\\d?frac\s*\{\s*[∂d]\s*\w*\s*\}\s*\{\s*[∂d]\s*(.+?)\s*\}", cleaned)
    fraction = fraction or re.fullmatch(r"[∂d]\s*\w*\s*/\s*\(?[∂d]\s*(.+?)\)?", cleaned)
    nabla = re.fullmatch(r"(?:\\nabla|∇|grad)\s*_?\s*\{?(\w+?)\}?(?:\s*\(?\w\)?)?", cleaned)
    asked = fraction or (nabla if cleaned not in names else None)
    body = asked.group(1) if asked else cleaned
    if not body:
        raise Unreadable("expected what the formula is, such as dW, on the left", start)
    node = reading.read(body, names, start)
    if node.kind not in ("name", "entry"):
        raise Unreadable("expected a name on the left, such as dW or dW[k,j]", start)
    name = f"{prefix}{node.value}" if asked else node.value
    return name, node.parts if node.kind == "entry" else None


def mentioned(source: str) -> Iterator[str]:
    """The names on the right of each line, those of functions aside."""
    for line in source.splitlines():
        try:
            tokens = tokenize(line[(equals(line) or -1) + 1 :])
        except Unreadable:
            continue
        for token, after in itertools.pairwise(tokens):
            if token.kind == "name" and after.text != "(":
                yield token.text


def equals(source: str) -> int | None:
    """The column of the equals sign between the two sides, outside of brackets."""
    depth = 0
    for n, character in enumerate(source):
        depth += (character in "([{") - (character in ")]}")
        around = source[max(0, n - 1) : n + 2]
        if character == "=" and depth <= 0 and not re.search(r"[<>!=]=|==", around):
            return n
    return None
