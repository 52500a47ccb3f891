"""What a page says in other languages: one table each, from an English sentence to the same sentence.

A `{}` in a sentence stands for a name, a formula, a number or a list of them; in the other language `{0}`, `{1}` put them in
place. English is what the pages themselves are written in; whatever a table lacks stays English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module

from derive.render.blocks import Block, Bullets, Chain, Figures, Givens, Heading, Identities, Line, Page, Paragraph

Say = Callable[[str], str]


def speaker(language: str) -> Say:
    """What turns an English sentence of ours into another language's."""
    if language == "en":
        return str
    return lambda text: said(text, language)


def translated(made: Page, language: str) -> Page:
    """The page with its headings, rules, reasons and sentences in a language; formulas are as they were."""
    if language == "en":
        return made
    say = speaker(language)
    return replace(made, blocks=tuple(_block(block, say) for block in made.blocks), where=replace(made.where, language=language))


def _block(block: Block, say: Say) -> Block:
    if isinstance(block, (Heading, Paragraph)):
        return replace(block, text=say(block.text))
    if isinstance(block, Bullets):
        return Bullets(tuple(say(item) for item in block.items))
    if isinstance(block, Identities):
        return Identities(tuple((say(name), identity) for name, identity in block.rows))
    if isinstance(block, Givens):
        return Givens(tuple((name, dims, say(role)) for name, dims, role in block.rows))
    if isinstance(block, Figures):
        return replace(block, lead=say(block.lead))
    if isinstance(block, Chain):
        lines = tuple((expr, reason_in(reason, say)) for expr, reason in block.lines)
        every = tuple(Line(line.expr, tuple((d, reason_in(reason, say)) for d, reason in line.reasons)) for line in block.every)
        return Chain(block.target, lines, every)
    return block


def reason_in(reason: str, say: Say) -> str:
    """A reason: the rule, and after a colon what it did here, once or several times."""
    name, colon, note = reason.partition(": ")
    if not note or say(name) == name:
        return say(reason)
    return say(name) + colon + "; ".join(say(part) for part in note.split("; "))


# ---------------------------------------------------------------------------------------------------- tables


@cache
def table(language: str) -> dict[str, str]:
    """The sentences of a language by the English ones."""
    words: dict[str, str] = import_module(f"derive.render.languages.{language}").WORDS
    return words


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The sentences with places in them, the most particular ones first."""
    found = [english for english in table(language) if "{}" in english]
    found.sort(key=lambda english: -len(english.replace("{}", "")))
    return tuple((re.compile(re.escape(english).replace(r"\{\}", "(.+?)")), table(language)[english]) for english in found)


@lru_cache(maxsize=20_000)
def said(text: str, language: str) -> str:
    """A sentence in a language, or as it is where the language's table has none like it."""
    words = table(language)
    if text in words:
        return words[text]
    parts = [(part, said(part, language)) for part in text.split(", ")] if ", " in text else []
    if parts and all(part != other for part, other in parts):
        return ", ".join(other for _, other in parts)
    for pattern, other in _patterns(language):
        match = pattern.fullmatch(text)
        if match:
            return other.format(*(_part(group, language) for group in match.groups()))
    return text


def _part(text: str, language: str) -> str:
    """What stands in a place: a list has the language's `and`, a sentence inside a sentence is said too."""
    other = said(text, language) if " " in text else text
    return other if other != text else text.replace(" and ", f" {table(language)['and']} ")
