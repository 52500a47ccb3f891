"""What a message suggests to a person who wrote a formula of whole matrices: the same formula with its indices.

A name that begins with a capital is taken for a matrix, any other for a vector; where a product of these has no meaning there is
no suggestion.
"""

from __future__ import annotations

import re

_NAME = r"[A-Za-z]\w*"
_FACTOR = re.compile(rf"\s*(?:[@*]\s*)?({_NAME})(\^T|\^\{{T\}}|\.T|ᵀ|')?")
_SUMMED = "klmnpqrstuv"


def with_indices(line: str) -> str | None:
    """`Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]` for `Y = X W + b`; None where the line is no such formula."""
    match = re.fullmatch(rf"\s*({_NAME})\s*=(.*)", line)
    if match is None:
        return None
    terms = [_term(text) for text in re.split(r"[+-]", match.group(2))]
    known = [term for term in terms if term is not None]
    if len(known) < len(terms) or not any(len(term) > 1 for term in known):
        return None
    matrix = any(_ends(term) == (True, True) for term in known)
    free = ("i", "j") if matrix else ("i",) if any(any(_ends(term)) for term in known) else ()
    written = [_written(term, free) for term in known]
    if None in written:
        return None
    signs = re.findall(r"[+-]", match.group(2))
    right = " ".join(part for sign, term in zip(["", *signs], written) for part in (sign, term) if part)
    left = match.group(1) + (f"[{','.join(free)}]" if free else "")
    return f"{left} = {right}"


Factor = tuple[str, bool, bool]
"""A name, whether it is a matrix, and whether it is transposed."""


def _term(text: str) -> list[Factor] | None:
    found: list[Factor] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _FACTOR.match(text, at)
        if match is None:
            return None
        found.append((match.group(1), match.group(1)[0].isupper(), match.group(2) is not None))
        at = match.end()
    return found or None


def _sides(factor: Factor) -> tuple[bool, bool]:
    """Whether a factor has rows, and columns: a vector is a column, transposed a row."""
    _, matrix, transposed = factor
    return (True, True) if matrix else (not transposed, transposed)


def _ends(term: list[Factor]) -> tuple[bool, bool]:
    return _sides(term[0])[0], _sides(term[-1])[1]


def _written(term: list[Factor], free: tuple[str, ...]) -> str | None:
    """One product with its sums; None where neighbours do not fit, or its own indices are not those of the left side."""
    rows, columns = _ends(term)
    if columns and not rows and len(free) == 1 or rows and columns and len(free) < 2 or (rows or columns) and not free:
        return None
    spread = len(free) == 2 and not (rows and columns)  # a vector is added to every row
    if len(term) > len(_SUMMED):
        return None
    names = iter(_SUMMED)
    left = (free[-1] if spread else free[0]) if rows else ""
    summed: list[str] = []
    parts = []
    for n, factor in enumerate(term):
        has_rows, has_columns = _sides(factor)
        if n:
            if _sides(term[n - 1])[1] != has_rows:
                return None
            left = summed[-1] if has_rows else ""
        right = ""
        if has_columns:
            right = free[-1] if n == len(term) - 1 else next(names)
            summed += [right] if n < len(term) - 1 else []
        places = [place for place in ((right, left) if factor[2] else (left, right)) if place]
        parts.append(f"{factor[0]}[{','.join(places)}]")
    product = "*".join(parts)
    return f"sum({','.join(summed)}, {product})" if summed else product
