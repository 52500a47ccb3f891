"""Grading: a person's line is read, compared with the gradient it claims to be, and where it is wrong the one change is looked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from derive.checker.arithmetic import CannotTell
from derive.engine import Derivation, derive
from derive.errors import SpecError, listing, near
from derive.expr import Equation, Expr, Fact, Idx, Ref, Tensor
from derive.indices import names as index_names
from derive.indices import rename_apart, substitute, tensors_in
from derive.recurrence import Unordered, groups
from derive.spec import Layer
from derive.tutor import reading
from derive.tutor.convention import repeated, writes_sums
from derive.tutor.elaborate import Elaborator
from derive.tutor.judge import PLAIN, Apart, Judge, Setting, safely
from derive.tutor.lines import Claim, equals, left, mentioned
from derive.tutor.tree import Node, Unreadable, walk
from derive.tutor.values import Value, Vocabulary, named_free, shape

RIGHT, WRONG, UNREADABLE = "right", "wrong", "unreadable"
UPSTREAM = ("G", "g", "grad_output", "dout", "delta", "δ", "upstream", "grad", "Δ")


@dataclass(frozen=True)
class Verdict:
    """`outcome` is right, wrong or unreadable; `diagnosis` a name for what is the matter; `message` says it in full."""

    outcome: str
    diagnosis: str
    message: str
    source: str = ""
    column: int | None = None
    line: int = 1

    @property
    def code(self) -> int:
        return {RIGHT: 0, WRONG: 1, UNREADABLE: 2}[self.outcome]


class Misfit(Exception):
    """A formula that has values, but not the target's axes."""

    def __init__(self, value: Value, wanted: tuple[str, ...], extra: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.value, self.wanted, self.extra = value, wanted, extra


class Tutor:
    """Grades formulas about one layer; raises SpecError where the layer itself cannot be derived."""

    def __init__(self, layer: Layer | Derivation) -> None:
        self.derivation = layer if isinstance(layer, Derivation) else derive(layer)
        self.layer = self.derivation.layer
        self.judge = Judge(self.derivation)
        self.results = {equation.target.tensor: equation for equation in self.derivation.results}
        self.forward = {equation.target.tensor: equation for equation in self.layer.equations}
        self.reset()

    def reset(self) -> None:
        """Forget the names that earlier lines defined."""
        prefix = self.derivation.prefix
        tensors = {t.name: t for t in (*self.layer.tensors, *self.derivation.tensors)}
        for name in (*self.layer.wrt, *self.forward):
            gradient = f"{prefix}{name}"
            tensors.setdefault(gradient, Tensor(gradient, tensors[name].dims))
        self.words = Vocabulary(tensors, self.layer.batch, self.layer.dims)
        self.own: dict[str, str] = {}
        if len(self.derivation.upstream) == 1:
            self.words.aliases = {name: self.derivation.upstream[0] for name in UPSTREAM if name not in tensors}

    # ------------------------------------------------------------------------------------------------ lines

    def grade(self, source: str) -> Verdict:
        """The verdict on one line, such as `dW = X^T dY`."""
        return self._line(source, 1, self._setting(source), False)

    def judged(self, source: str) -> str:
        """The outcome alone, whatever the upstream gradient is, without looking for what is wrong."""
        try:
            claim = self._read(source, 1, PLAIN)
            if self._dims(claim, False) is None:
                return UNREADABLE
            target, entry = self._fit(claim.node, claim)
            return WRONG if self._apart(entry, target, claim.setting) else self._right(claim, target, entry).outcome
        except (Unreadable, CannotTell):
            return UNREADABLE
        except Misfit:
            return WRONG

    def grade_lines(self, source: str) -> list[Verdict]:
        """The verdicts on a derivation, a line each, up to the first that does not follow; `#` and `%` start comments."""
        self.reset()
        setting = self._setting(source)
        verdicts: list[Verdict] = []
        for number, line in enumerate(source.splitlines(), start=1):
            written = re.split(r"#|(?<!\\)%", line)[0].rstrip().rstrip(";\\").rstrip()
            if not written.strip():
                continue
            verdicts.append(self._line(written, number, setting, True))
            if verdicts[-1].outcome != RIGHT:
                break
        if not verdicts:
            raise SpecError("there is no line to grade; write one a line, such as dW = X^T dY")
        return verdicts

    def _setting(self, source: str) -> Setting:
        """A scalar loss that is never mentioned is taken to be the end: its own gradient is 1."""
        if len(self.derivation.upstream) != 1 or self.words.dims(self.derivation.upstream[0]):
            return PLAIN
        said = {self.words.aliases.get(name, name) for name in mentioned(source)}
        return PLAIN if self.derivation.upstream[0] in said else Setting(unit=True)

    def _line(self, source: str, number: int, setting: Setting, several: bool) -> Verdict:
        try:
            claim = self._read(source, number, setting)
            return self._judge(claim, several)
        except Unreadable as error:
            return Verdict(UNREADABLE, "shapes" if error.shapes else "syntax", error.message, source, error.column, number)
        except CannotTell as error:
            return Verdict(UNREADABLE, "cannot tell", f"the checker cannot tell: {error}", source, 0, number)

    def _read(self, source: str, number: int, setting: Setting) -> Claim:
        column = equals(source)
        if column is None:
            example = next(iter(self.derivation.gradients))
            raise Unreadable(f"expected an equation, such as {example} = ...", len(source))
        name, indices = left(source[:column].rstrip(":"), self.words.names(), self.derivation.prefix)
        return Claim(name, reading.read(source[column + 1 :], self.words.names(), column + 1), indices, source, number, setting)

    # ------------------------------------------------------------------------------------------------ meanings

    def _dims(self, claim: Claim, several: bool) -> tuple[str, ...] | None:
        """The axes of what a line claims to be; None for a name of the person's own."""
        name, prefix = claim.name, self.derivation.prefix
        if name in self.derivation.upstream:
            raise Unreadable(f"{name} is the upstream gradient, which is given; the gradients are {listing(self.derivation.gradients)}", 0)
        if name in self.forward or name.startswith(prefix) and name[len(prefix) :] in (*self.layer.wrt, *self.forward):
            return self.words.dims(name)
        if name in self.results and not several:
            return self.words.dims(name)
        plain = name.removeprefix(prefix)
        if name in self.layer.inputs or name.startswith(prefix) and plain in self.layer.inputs:
            raise Unreadable(f"{name} is an input" if name == plain else f"{plain} has no gradient: it is not differentiated", 0)
        return None

    def _target(self, name: str, claim: Claim, work: Elaborator) -> Ref:
        """The target with its indices: the person's, or those of the layer."""
        dims = self.words.dims(name)
        leading = self.words.leading(name)
        given = claim.indices
        if given is not None:
            parts = given
            if leading and len(parts) == len(dims) + len(leading):
                parts = parts[len(leading) :]
            if len(parts) != len(dims) or any(part.kind != "name" for part in parts):
                raise Unreadable(f"{name} has {len(dims)} axes ({', '.join(dims) or 'it is a number'}), not {len(parts)}", 0, True)
            if len({part.value for part in parts}) < len(parts):
                raise Unreadable("an index stands twice on the left; give each axis its own", given[0].at)
            return Ref(name, (*leading, *(work.index_named(part.value, dim, part.at) for part, dim in zip(parts, dims))))
        written = self.results.get(name) or self.forward.get(name)
        if written is not None:
            own = [index for index in written.target.indices[len(leading) :] if isinstance(index, Idx)]
        else:
            own = [Idx(f"{dim.lower()}_{n}", dim) for n, dim in enumerate(dims)]
        return Ref(name, (*leading, *own))

    def _fit(self, node: Node, claim: Claim, name: str | None = None) -> tuple[Ref, Expr]:
        """The formula over its target's indices. Raises Unreadable, or Misfit where its axes are others."""
        work = Elaborator(self.words)
        name = name or claim.name
        target = self._target(name, claim if name == claim.name else replace(claim, indices=None), work)
        self._scan(node, work)
        value = work.value(node)
        entry = value.entry
        own = [index for index in target.indices[len(self.words.leading(name)) :] if isinstance(index, Idx)]
        free = named_free(replace(value, axes=(*value.axes, *self.words.batch)))
        if value.dims:
            if free:
                raise Unreadable(
                    f"{listing(i.name for i in free)} is an index, and other tensors here have none; name them all or none", node.at
                )
            if value.dims != tuple(index.dim for index in own):
                raise Misfit(value, tuple(index.dim for index in own))
            entry = substitute(entry, dict(zip((axis for axis in value.axes if axis is not None), own)))
        else:
            extra = [index for index in free if index not in own]
            if extra and claim.indices is None:
                order = {index.dim: index for index in extra}
                missing = [index for index in own if index not in free]
                if len(order) == len(extra) and {index.dim for index in missing} == set(order):
                    entry = substitute(entry, {order[index.dim]: index for index in missing})
                    extra = []
            if extra:
                raise Misfit(value, tuple(index.dim for index in own), tuple(index.name.removesuffix("~") for index in extra))
            if own and not free and entry != _number(entry):
                raise Misfit(value, tuple(index.dim for index in own))
        taken = index_names(target)
        entry = rename_apart(entry, taken) if taken else entry
        self._lazily(entry)
        return target, entry

    def _scan(self, node: Node, work: Elaborator) -> None:
        """Note the axis of every named index, so that a sum may stand before the entry that says what it runs over."""
        entries = [(name, part) for part in walk(node) if part.kind == "entry" and (name := work.resolve(part.value)) in self.words.tensors]
        # An index that stands alone somewhere says what it runs over; then the places it is part of are known.
        for name, part in sorted(entries, key=lambda entry: any(index.kind not in ("name", "entry") for index in entry[1].parts)):
            work.places(name, part)

    def _lazily(self, entry: Expr) -> None:
        """Gradients that the derivation passed over (it fuses equations) get their meaning as a definition."""
        for name in tensors_in(entry):
            known = self.judge.definitions
            if name in known or name in self.judge.tensors or name not in self.words.tensors:
                continue
            dims = self.words.tensors[name].dims
            target = Ref(name, tuple(Idx(f"{dim.lower()}_{n}", dim) for n, dim in enumerate(dims)))
            value = self.judge.with_meaning(target)
            known[name] = {"target": ["ref", name, [["idx", i.name, i.dim] for i in target.indices if isinstance(i, Idx)]], "value": value}

    # ------------------------------------------------------------------------------------------------ verdicts

    def _judge(self, claim: Claim, several: bool) -> Verdict:
        if self._dims(claim, several) is None:
            return self._define(claim, several)
        try:
            target, entry = self._fit(claim.node, claim)
        except Misfit as misfit:
            summed = self._summed(claim) if misfit.extra else None
            return self._judge(summed, several) if summed is not None else self._diagnosed(claim, None, misfit, None)
        except Unreadable as error:
            if not error.shapes:
                raise
            fix = self._diagnosed(claim, None, None, error)
            return fix
        if _mentions(entry, claim.name) and not self._recurs(Equation(target, entry)):
            raise Unreadable(f"{claim.name} stands on both sides", claim.node.at)
        apart = self._apart(entry, target, claim.setting)
        if apart is None:
            return self._right(claim, target, entry)
        return self._diagnosed(claim, apart, None, None)

    def _recurs(self, equation: Equation) -> bool:
        """Whether a line that has its own left side on the right is a recurrence, as the derived one is."""
        try:
            return any(group.recurs for group in groups((equation,)))
        except Unordered:
            return False

    def _summed(self, claim: Claim) -> Claim | None:
        """The claim read with the summation convention; None where it writes sums itself, or no index stands twice."""
        if claim.indices is None and self.words.dims(claim.name) or writes_sums(claim.node):
            return None
        known = [index.name for index in self.words.batch]
        node, over = repeated(claim.node, {*known, *(str(part.value) for part in claim.indices or ())})
        return replace(claim, node=node, over=over) if over else None

    def _apart(self, entry: Expr, target: Ref, setting: Setting) -> Apart | None:
        truth = self._truth(target)
        quick = self.judge.apart(entry, truth, target, setting, 4)
        return quick or self.judge.apart(entry, truth, target, setting)

    def _truth(self, target: Ref) -> Any:
        return self.judge.truth(target)

    def _right(self, claim: Claim, target: Ref, entry: Expr) -> Verdict:
        """A formula that equals the proved result has to equal what the gradient means as well."""
        notes = []
        setting = claim.setting
        if target.tensor in self._gradients:
            apart = self.judge.is_meant(entry, target, setting)
            if apart is not None:
                return self._verdict(claim, WRONG, "wrong", self._shown(claim, target, apart))
            if setting.unit and safely(lambda: self._apart(entry, target, PLAIN)) is not None:
                notes.append(f"with {self.derivation.upstream[0]} = 1")
            equations = [fact for fact in self.judge.layer["facts"] if fact not in self.judge.comparisons]
            if equations:
                bare = replace(setting, bare=True)
                if safely(lambda: self.judge.is_meant(entry, target, bare)) is not None:
                    notes.append(f"under the fact {listing(_written(fact) for fact in self.layer.facts if _is_equation(fact))}")
        if claim.over:
            notes.insert(0, f"summed over {listing(claim.over)} by the summation convention")
        said = f"{claim.source.strip()} is right"
        return self._verdict(
            claim, RIGHT, "under a fact" if any("fact" in note for note in notes) else "right", f"{', '.join([said, *notes])}."
        )

    def _define(self, claim: Claim, several: bool) -> Verdict:
        known = [*self.derivation.gradients, *self.forward, *self.results]
        if not several:
            hint = near(claim.name, known)
            raise Unreadable(f"there is no {claim.name} to be found{hint}; the gradients are {listing(self.derivation.gradients)}", 0)
        work = Elaborator(self.words)
        dims: list[Idx] = []
        self._scan(claim.node, work)
        value = work.value(claim.node)
        if claim.indices is not None:
            for part in claim.indices:
                if part.value not in work.axis_of:
                    raise Unreadable(f"the index {part.value} is not on the right", part.at)
                dims.append(work.index_named(part.value, work.axis_of[part.value], part.at))
            if value.dims:
                raise Unreadable("indices on the left want indices on the right", claim.node.at)
        else:
            dims = [axis for axis in value.axes if axis is not None]
        free = named_free(replace(value, axes=(*value.axes, *self.words.batch, *dims)))
        summed = self._summed(claim) if free and claim.indices is not None else None
        if summed is not None:
            return self._define(summed, several)
        if free:
            what = listing(index.name for index in free)
            return self._verdict(claim, WRONG, "missing sum", f"{what} is free on the right and not on the left: sum over {what}.")
        own = f"{claim.name} of line {claim.number}"
        target = Ref(own, (*self.words.batch, *dims))
        entry = rename_apart(value.entry, index_names(target))
        self._lazily(entry)
        self.judge.define(Equation(target, entry))
        self.words.tensors[claim.name] = Tensor(claim.name, tuple(index.dim for index in (*self.words.batch, *dims)))
        self.words.internal[claim.name] = own
        return self._verdict(claim, RIGHT, "definition", f"{claim.name} is a name of your own.")

    def _verdict(self, claim: Claim, outcome: str, diagnosis: str, message: str) -> Verdict:
        return Verdict(outcome, diagnosis, message, claim.source, None, claim.number)

    def _diagnosed(self, claim: Claim, apart: Apart | None, misfit: Misfit | None, error: Unreadable | None) -> Verdict:
        from derive.tutor.diagnose import diagnose

        found = diagnose(self, claim, misfit)
        target = self._target(claim.name, claim, Elaborator(self.words))
        if error is not None:
            message = f"{error.message}. {found[1]}" if found else error.message
            return Verdict(UNREADABLE, found[0] if found else "shapes", message, claim.source, error.column, claim.number)
        if found:
            message = found[1]
        elif misfit is not None:
            dims = self.words.dims(claim.name)
            has = f"has the free index {listing(misfit.extra)}" if misfit.extra else f"is {shape(misfit.value)}"
            message = f"the right side {has}, and {claim.name} is {' x '.join(dims) or 'a number'}."
        else:
            assert apart is not None
            message = self._shown(claim, target, apart)
        diagnosis = found[0] if found else "shape" if misfit is not None else "wrong"
        answer = "" if f"{claim.left} = " in message and diagnosis != "transposed" else self.answer(claim)
        return self._verdict(
            claim, WRONG, diagnosis, f"{claim.source.strip()} is wrong: {message}" + (f" You want {answer}." if answer else "")
        )

    def _shown(self, claim: Claim, target: Ref, apart: Apart) -> str:
        at = ", ".join(f"{index.name} = {value}" for index, value in zip(target.indices, apart.key) if isinstance(index, Idx))
        sizes = ", ".join(f"{axis} = {size}" for axis, size in apart.sizes.items())
        where = f" at {at}" if at else ""
        return f"it is not {claim.name}:{where} it gives {_short(apart.given)}, and {claim.name} is {_short(apart.wanted)} (sizes {sizes})."

    def answer(self, claim: Claim) -> str:
        """The proved result, in matrix form where there is one and the person wrote no indices."""
        name = claim.name
        if name not in self.results:
            return ""
        if claim.indices is not None:
            return _written(self.results[name])
        from derive.render.formula_text import expr_text, matrix_text
        from derive.render.notation import Context

        proof = self.derivation.proof(name)
        where = Context(frozenset(self.words.tensors), self.layer.batch, True)
        shown = matrix_text(proof.matrix, where) if proof.matrix is not None else expr_text(self.results[name].value, where)
        return f"{name} = {shown}"

    # ------------------------------------------------------------------------------------------------ for the diagnosis

    @property
    def _gradients(self) -> set[str]:
        return {f"{self.derivation.prefix}{name}" for name in (*self.layer.wrt, *self.forward)}

    @cached_property
    def alike(self) -> dict[str, tuple[str, ...]]:
        """For each tensor the others of the same axes."""
        found: dict[str, tuple[str, ...]] = {}
        known = [t for t in self.words.tensors.values() if t.name not in self.words.internal]
        for tensor in known:
            found[tensor.name] = tuple(
                t.name for t in known if t.dims == tensor.dims and t.name != tensor.name and t.values == tensor.values
            )
        return found

    def equal(self, node: Node, claim: Claim, setting: Setting | None = None, name: str | None = None) -> bool:
        """Whether a formula is the claim's target (or `name`), as far as the proved result goes."""
        try:
            target, entry = self._fit(node, claim, name)
            if _mentions(entry, target.tensor):
                return False
            truth = self._truth(target)
            setting = setting or claim.setting
            return self.judge.apart(entry, truth, target, setting, 3) is None and self.judge.apart(entry, truth, target, setting) is None
        except (Misfit, Unreadable, CannotTell):
            return False


def _mentions(entry: Expr, name: str) -> bool:
    return name in tensors_in(entry)


def _number(entry: Expr) -> Expr | None:
    from derive.expr import Num

    return entry if isinstance(entry, Num) else None


def _is_equation(fact: Fact) -> bool:
    from derive.signs import is_comparison

    return not is_comparison(fact)


def _written(fact: Fact | Equation) -> str:
    from derive.write import write

    return write(fact)


def _short(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 16 else f"{float(value):.6g}"
