"""The SymPy objects of a spec: `axes` and `tensors`, whose entries remember the order in which the author wrote them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

import sympy as sp

from derive.errors import SpecError

_ITEM = re.compile(r"([^\W\d]\w*)(?:\[([^\]]*)\])?(?::(int|const|real))?$")
_POSITIONS = itertools.count()

Entry = tuple[int, Any]
# Every entry of a tensor in the order in which Python evaluated it: SymPy sorts the factors of a product by their hash
# content, and this record lets the reader put them back as the author wrote them.
WRITTEN: list[Entry] = []


class Named(tuple[Any, ...]):
    """A tuple whose items are also attributes by name, as in `axes("n:N").N`."""

    names: dict[str, Any]

    def __new__(cls, items: Iterable[Any], names: dict[str, Any]) -> Named:
        made = super().__new__(cls, items)
        made.names = names
        return made

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("names", {})
        if name not in names:
            raise AttributeError(f"there is no {name} here; there are {', '.join(names)}")
        return names[name]

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, (int, slice)) and len(self) == 1:
            raise SpecError("tensors() and axes() answer a tuple; with one name in it, write: X, = tensors('X[N]')")
        return super().__getitem__(key)


class TensorBase(sp.IndexedBase):
    """An IndexedBase with a role (`real`, `const` or `int`) and a place among all declarations."""

    def __new__(cls, label: Any, shape: Any, kind: str = "real", position: int | None = None) -> TensorBase:
        made: TensorBase = super().__new__(cls, label, shape=shape)
        made.role = kind
        made.position = next(_POSITIONS) if position is None else position
        return made

    role: str
    position: int

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.position, *super()._hashable_content())

    def __getitem__(self, indices: Any, **_: Any) -> Any:
        # Indexed itself, so that a wrong rank is reported with the layer and the equation.
        where = tuple(sp.sympify(i) for i in (indices if isinstance(indices, (tuple, list, sp.Tuple)) else (indices,)))
        WRITTEN.append((self.position, where))
        return sp.Indexed(self, *where)


class Scalar(sp.Symbol):
    """A tensor without axes."""

    def __new__(cls, name: str, kind: str = "real", position: int | None = None) -> Scalar:
        made: Scalar = sp.Symbol.__xnew__(cls, name)
        made.role = kind
        made.position = next(_POSITIONS) if position is None else position
        return made

    role: str
    position: int

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.position, *super()._hashable_content())


def dimension(name: str) -> sp.Symbol:
    """The length of the axis `name`."""
    # No sign is assumed: SymPy would split sqrt(x / C) into two roots, which is not what the author wrote.
    return sp.Symbol(name, integer=True)


def axes(text: str) -> Named:
    """Indices with their axes: `n, c = axes("n:N c:C")`. A bare name, as in `"n:N N"`, hands out the axis's length.

    The lengths are attributes as well: `axes("n:N").N`. Raises SpecError for a text of another form.
    """
    items: list[Any] = []
    names: dict[str, Any] = {}
    for word in _words(text):
        index, colon, axis = word.partition(":")
        if not index.isidentifier() or (colon and not axis.isidentifier()):
            raise SpecError(
                f"axes({text!r}): {word!r} is not an index with its axis; write them as in 'i:N j:M', or an axis alone, as in 'N'"
            )
        size = dimension(axis or index)
        item = sp.Idx(sp.Symbol(index, integer=True), size) if colon else size
        if names.setdefault(index, item) != item:
            raise SpecError(f"axes({text!r}): the name {index} stands for two things; give each index its own name")
        items.append(item)
        names.setdefault(axis or index, size)
    return Named(items, names)


def tensors(text: str) -> Named:
    """Tensors with their axes: `X, y, t, a = tensors("X[N,C] y[N]:int t[N]:const a[]")`.

    `int` marks labels, whose entries are positions along an axis; `const` marks real inputs that are not differentiated. A
    bare name of an axis hands out its length. Raises SpecError for a text of another form.
    """
    items: list[Any] = []
    names: dict[str, Any] = {}
    words = _words(text)
    sizes = {axis.strip(): dimension(axis.strip()) for word in words for axis in _dims(text, word)[1] or ()}
    for word in words:
        name, dims, kind = _dims(text, word)
        item: Any
        if dims is None and kind is None and name in sizes:
            item = sizes[name]
        elif not dims:
            item = Scalar(name, kind or "real")
        else:
            item = TensorBase(name, tuple(sizes[axis] for axis in dims), kind or "real")
        if name in names:
            raise SpecError(f"tensors({text!r}): {name} is declared twice")
        names[name] = item
        items.append(item)
    return Named(items, {**sizes, **names})


def _words(text: str) -> list[str]:
    """The items, which blanks or commas outside brackets part."""
    words = re.findall(r"(?:[^\s,\[\]]|\[[^\]]*\]|[\[\]])+", text)
    if not words:
        raise SpecError("there is nothing to declare; write names, as in axes('i:N j:M') and tensors('X[N,M]')")
    return words


def _dims(text: str, word: str) -> tuple[str, tuple[str, ...] | None, str | None]:
    match = _ITEM.match(word)
    if match is None:
        raise SpecError(
            f"tensors({text!r}): {word!r} is not a tensor; write it as in 'X[N,C]', 'y[N]:int', 'T[N,C]:const' or 'alpha:const'"
        )
    name, inside, kind = match.groups()
    dims = None if inside is None else tuple(axis.strip() for axis in inside.split(",") if axis.strip())
    for axis in dims or ():
        if not axis.isidentifier():
            raise SpecError(f"tensors({text!r}): {axis!r} in {word!r} is not the name of an axis; write it as in 'X[N,C]'")
    return name, dims, kind
