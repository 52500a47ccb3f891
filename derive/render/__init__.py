"""Proofs for people: `text`, `latex`, `markdown`, `html` and `json` have a `document` each, which prints a whole derivation.

`layout` settles fractions, signs and brackets once, `page` what a page says; a format only draws. Nothing here derives.
"""

FORMATS = ("text", "latex", "markdown", "html", "pdf", "json")
"""Every format; json is the proofs themselves, and every other one draws a page of them."""

LANGUAGES = ("en", "ru", "zh")
"""What pages speak; LaTeX and what is made of it speak English alone, since other scripts need fonts it may not have."""

CONVENTIONS: dict[str, tuple[str, ...]] = {
    "layout": ("gradient", "numerator", "denominator"),
    "batch": ("rows", "cols"),
    "weight": ("in_out", "out_in"),
    "upstream": ("dY", "G", "delta"),
    "sum": ("explicit", "einstein"),
    "index_base": ("0", "1"),
}
"""The conventions that are one of a few words, what pages have by default first (a weight is stored as its layer has it)."""
