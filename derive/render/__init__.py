"""Proofs for people: `text`, `latex`, `markdown`, `html` and `json` have a `document` each, which prints a whole derivation.

`layout` settles fractions, signs and brackets once, `page` what a page says; a format only draws. Nothing here derives.
"""

FORMATS = ("text", "latex", "markdown", "html", "pdf", "json")
"""Every format; json is the proofs themselves, and every other one draws a page of them."""

LANGUAGES = ("en", "ru", "zh")
"""What pages speak; LaTeX and what is made of it speak English alone, since other scripts need fonts it may not have."""
