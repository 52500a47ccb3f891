"""The derivations of the catalogue and their pages at the finest level of detail, made once for all tests of a process."""

from __future__ import annotations

from functools import cache

from derivations import derived

from derive.engine import Derivation
from derive.layers import layer
from derive.render.blocks import Page
from derive.render.page import page


def derivation(name: str) -> Derivation:
    return derived(layer(name))


@cache
def finest(name: str) -> Page:
    return page(derivation(name), "baby")
