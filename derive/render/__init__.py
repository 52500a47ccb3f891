"""Proofs for people: `text.document`, `latex.document`, `latex.fragment` and `json.document` each print a whole derivation.

`layout` settles fractions, signs and brackets once, `page` what a page says; a format only draws. Nothing here derives.
"""
