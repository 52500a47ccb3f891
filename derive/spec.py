"""A layer: its equations, its tensors with their shapes, and how one is read from SymPy or from text."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from derive.errors import SpecError, listing, near
from derive.expr import Equation, Fact, Idx, Length, Tensor
from derive.parse import Raw, lines, parse, parse_fact, parse_length
from derive.shapes import resolve
from derive.validate import Spec, check_axes, check_order, check_targets
from derive.write import write

__all__ = ["Layer", "SpecError"]


_PARTS = ("name", "tensors", "equations", "facts", "inputs", "outputs", "wrt", "batch", "doc", "sizes")


@dataclass(frozen=True, init=False)
class Layer:
    """A layer in index notation.

    `tensors` holds the inputs in argument order, then every equation's target; `wrt` are the inputs to differentiate by;
    `batch` are the indices that lead every tensor.
    """

    name: str
    tensors: tuple[Tensor, ...]
    equations: tuple[Equation, ...]
    facts: tuple[Fact, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wrt: tuple[str, ...]
    batch: tuple[Idx, ...]
    doc: str
    sizes: tuple[Length, ...]

    def __init__(
        self,
        name: str,
        equations: Iterable[Any],
        wrt: Any = None,
        facts: Any = (),
        inputs: Any = None,
        outputs: Any = None,
        batch: str | Iterable[Any] = (),
        doc: str = "",
        sizes: Any = (),
    ) -> None:
        """Read a layer from SymPy equations `Eq(Y[i, j], ...)` over `axes` and `tensors`; IR equations are taken too.

        `wrt`, `inputs` and `outputs` are tensors or their names; by default the inputs stand in the order of their
        declaration (`wrt` orders those it names), every real input is differentiated, and the last equation is the output.
        `facts` are hypotheses about inputs, `Eq(Sum(T[i, j], j), 1)` or `"sum(j, T[i,j]) = 1"`. `batch`, such as
        `"b:B h:H"`, names axes that lead every tensor: the equations are written for one example. `sizes` are the lengths of axes
        that no input has, `"size(i) = size(l)//2"` or `Eq(I, L // 2)`.
        Raises SpecError for a mistake, saying what to write instead.
        """
        from derive.sympy_io import read

        raw = Raw(name)
        _batch(raw, batch)
        read(raw, equations)
        _arguments(raw, wrt, facts, inputs, outputs)
        _sizes(raw, sizes)
        self._finish(raw, doc)

    @classmethod
    def parse(
        cls,
        name: str,
        text: str,
        wrt: Any = None,
        facts: Any = (),
        inputs: Any = None,
        outputs: Any = None,
        batch: str | Iterable[Any] = (),
        doc: str = "",
    ) -> Layer:
        """Read a layer from its text form (the grammar is in `derive.parse`). Raises SpecError, with a caret where it can."""
        raw = parse(name, text)
        _batch(raw, batch)
        _arguments(raw, wrt, facts, inputs, outputs)
        layer = object.__new__(cls)
        layer._finish(raw, doc)
        return layer

    @classmethod
    def of(
        cls,
        name: str,
        tensors: Iterable[Tensor],
        equations: Iterable[Equation],
        facts: Iterable[Fact],
        inputs: Iterable[str],
        outputs: Iterable[str],
        wrt: Iterable[str],
        batch: Iterable[Idx] = (),
        doc: str = "",
        sizes: Iterable[Length] = (),
    ) -> Layer:
        """A layer of finished IR, as the engine makes one. Raises SpecError where an index and a tensor's axis disagree."""
        layer = object.__new__(cls)
        layer._set(
            name, tuple(tensors), tuple(equations), tuple(facts), tuple(inputs), tuple(outputs), tuple(wrt), tuple(batch), doc, tuple(sizes)
        )
        spec = Spec(name, layer.equations, tuple(write(equation) for equation in layer.equations))
        check_targets(spec)
        check_order(spec)
        check_axes(spec, {tensor.name: tensor for tensor in layer.tensors})
        return layer

    def changed(self, **parts: Any) -> Layer:
        """The same layer of finished IR but for the parts given by name, checked as `Layer.of` checks it."""
        return Layer.of(**{**{name: getattr(self, name) for name in _PARTS}, **parts})

    def _set(self, *values: Any) -> None:
        for name, value in zip(_PARTS, values):
            object.__setattr__(self, name, value)

    def _finish(self, raw: Raw, doc: str) -> None:
        if not raw.layer.isidentifier() or keyword.iskeyword(raw.layer):
            raise SpecError(f"{raw.layer!r} cannot be a layer's name: its kernels are functions of that name; use letters, digits and _")
        spec, tensors, outputs = resolve(raw)
        inputs = _inputs(raw, spec)
        wrt, inputs = _wrt(raw, inputs, tensors)
        ordered = tuple(tensors[name] for name in (*inputs, *spec.targets))
        self._set(raw.layer, ordered, spec.equations, spec.facts, inputs, outputs, wrt, tuple(raw.batch), doc, spec.lengths)

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises SpecError when the layer has none."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        known = [tensor.name for tensor in self.tensors]
        raise SpecError(f"{self.name}: there is no tensor {name}{near(name, known)}; its tensors are {listing(known)}")

    @property
    def dims(self) -> tuple[str, ...]:
        """Every axis once, in order of first appearance in the tensors."""
        found: dict[str, None] = dict.fromkeys(axis for tensor in self.tensors for axis in tensor.dims)
        found.update(dict.fromkeys(tensor.values for tensor in self.tensors if tensor.values is not None))
        found.update(dict.fromkeys(length.dim for length in self.sizes))
        return tuple(found)

    def text(self) -> str:
        """The layer in the text form; `Layer.parse(layer.name, layer.text())` is the same layer, but for its doc."""
        from derive.layer_text import layer_text

        return layer_text(self)

    def sympy(self) -> Any:
        """The equations in SymPy: a list of `Eq` over `axes` and `tensors`."""
        from derive.sympy_io import layer_sympy

        return layer_sympy(self)


# ---------------------------------------------------------------------------------------------------- arguments


def _arguments(raw: Raw, wrt: Any, facts: Any, inputs: Any, outputs: Any) -> None:
    """Lay the arguments of a call over what the text declared."""
    if wrt is not None:
        raw.wrt = _names(wrt)
    if inputs is not None:
        raw.inputs = _names(inputs)
    if outputs is not None:
        raw.outputs = _names(outputs)
    for fact in _several(facts):
        if isinstance(fact, str):
            for line in lines(raw.layer, fact):
                parse_fact(raw.layer, line.text, raw)
        elif isinstance(fact, Fact):
            raw.facts.append(fact)
        else:
            from derive.sympy_io import read_fact

            read_fact(fact, raw)


def _sizes(raw: Raw, sizes: Any) -> None:
    """Note the lengths of axes, as text or as `Eq(I, L // 2)`."""
    for size in _several(sizes):
        if isinstance(size, str):
            for line in lines(raw.layer, size):
                parse_length(raw.layer, line.text, raw)
        else:
            from derive.sympy_io import read_length

            read_length(size, raw)


def _batch(raw: Raw, batch: str | Iterable[Any]) -> None:
    """Note the leading axes, `"b:B h:H"` or a list of indices."""
    for index in batch.replace(",", " ").split() if isinstance(batch, str) else _several(batch):
        if isinstance(index, Idx):
            name, axis = index.name, index.dim
        elif isinstance(index, str):
            name, _, axis = index.partition(":")
        else:
            name, axis = str(getattr(index, "label", index)), str(getattr(index, "upper", "") or "").removesuffix(" - 1")
        if not name.isidentifier() or not axis.isidentifier():
            raise SpecError(f"{raw.layer}: batch pairs indices with axes, as in 'b:B h:H', not {index}")
        if raw.axes.setdefault(name, axis) != axis:
            raise SpecError(f"{raw.layer}: the batch index {name} runs over {raw.axes[name]} and over {axis}")
        raw.batch.append(Idx(name, axis))


def _several(value: Any) -> Sequence[Any]:
    """One thing or several, as a sequence; text is one thing."""
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    if isinstance(value, (set, frozenset)):
        raise SpecError(f"a set has no order; write a tuple: ({', '.join(sorted(str(v) for v in value))})")
    return [str(getattr(item, "name", item)) for item in _several(value)]


def _inputs(raw: Raw, spec: Spec) -> tuple[str, ...]:
    """The inputs in argument order."""
    found = [name for name in raw.order if name in spec.inputs]
    found += [name for name in spec.inputs if name not in found]
    for name, kind in raw.kinds.items():
        if name not in found and (name not in raw.dims or name in spec.targets):
            where = "is computed by an equation" if name in spec.targets else "is in no equation"
            raise SpecError(f"{raw.layer}: {name} is declared {kind} but {where}{near(name, found)}")
    if raw.inputs is None:
        return tuple(found)
    for name in raw.inputs:
        if name in spec.targets:
            raise SpecError(f"{raw.layer}: {name} is given as an input but is computed by an equation; the inputs are {listing(found)}")
        if name not in found:
            raise SpecError(f"{raw.layer}: the input {name} is used in no equation{near(name, found)}; the inputs are {listing(found)}")
    if len(set(raw.inputs)) < len(raw.inputs):
        raise SpecError(f"{raw.layer}: an input is named twice in {listing(raw.inputs)}")
    return (*raw.inputs, *(name for name in found if name not in raw.inputs))


def _wrt(raw: Raw, inputs: tuple[str, ...], tensors: dict[str, Tensor]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is differentiated, and the inputs with those it names in its order."""
    real = tuple(name for name in inputs if tensors[name].kind == "real")
    if raw.wrt is None:
        if not real:
            raise SpecError(f"{raw.layer}: there is no real input to differentiate by; the inputs are {listing(inputs)}")
        return real, inputs
    wrt = check_wrt(raw.layer, raw.wrt, inputs, tensors)
    if raw.inputs is not None:
        return wrt, inputs
    queue = list(wrt)
    return wrt, tuple(queue.pop(0) if name in wrt else name for name in inputs)


def check_wrt(layer: str, wrt: Sequence[str], inputs: tuple[str, ...], tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """The names of `wrt` when each is a real input, each once. Raises SpecError otherwise."""
    real = [name for name in inputs if tensors[name].kind == "real"]
    choice = f"choose among {listing(real)}"
    for name in wrt:
        if name not in tensors:
            raise SpecError(f"{layer}: there is no tensor {name} to differentiate by{near(name, real)}; {choice}")
        if name not in inputs:
            raise SpecError(f"{layer}: {name} is computed by an equation, not an input, so it cannot be differentiated by; {choice}")
        if tensors[name].kind == "int":
            raise SpecError(f"{layer}: {name} is an integer tensor and has no gradient; {choice}")
        if tensors[name].kind == "const":
            raise SpecError(f"{layer}: {name} is declared constant and has no gradient; {choice}, or declare it without const")
    if not wrt or len(set(wrt)) < len(wrt):
        raise SpecError(f"{layer}: wrt is {listing(wrt)}; name each tensor to differentiate by once; {choice}")
    return tuple(wrt)
