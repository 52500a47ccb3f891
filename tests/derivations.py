"""The catalogue derived, each layer at most once in a process: a derivation is data, which no test changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from derive.engine import Derivation, derive
from derive.layers import layer, names
from derive.spec import Layer


@cache
def derived(given: Layer) -> Derivation:
    return derive(given)


class _Catalogue(Mapping[str, Derivation]):
    """Every layer's derivation by name, made when it is asked for."""

    def __getitem__(self, name: str) -> Derivation:
        return derived(layer(name))

    def __iter__(self) -> Iterator[str]:
        return iter(names())

    def __len__(self) -> int:
        return len(names())


DERIVED = _Catalogue()
