"""The proof that two layers compute the same: each output of one is rewritten until it is the other's.

What the second layer computes on the way is shown equal to something of the first where that can be done, a lemma each; an
output's lines go from its definition to a form, and from there, the first layer's own lines read backwards, to its output. The
checker verifies every line. Where no such chain is found nothing is known, unless the two differ at some numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from derive import rules
from derive.check import FAILS, check_document, check_proof, context_of
from derive.correspondence import Claim, Pair, pair
from derive.equality import equal
from derive.expr import Equation, Expr, Fact, Ref, Tensor
from derive.indices import tensors_in
from derive.layers.equals import Same, equals_of
from derive.normal import Known, Line, normalised
from derive.proof import FORMAT, Proof, Step, equation_json, expr_json, fact_json, proof_json, sizes_json, tensor_json
from derive.recognize import finish
from derive.recurrence import Group, groups, recurrent
from derive.rules.expanding import TooLong
from derive.spec import Layer
from derive.workings import domain

MOST_UNFOLDED = 12


@dataclass(frozen=True)
class Agreement:
    """What is known of whether two layers are equal: `proofs` if they are, `difference` if they are not, else neither."""

    first: Layer
    second: Layer
    pair: Pair
    proofs: tuple[Proof, ...] = ()
    difference: str = ""
    stuck: str = ""

    @property
    def proved(self) -> bool:
        return bool(self.proofs)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON document that `derive.check` reads: both layers as one, and the proofs."""
        return _document(self.pair.layer, self.proofs)

    def check(self) -> Any:
        """The independent checker's report on every line."""
        return check_document(self.document)


def agreement(first: Layer, second: Layer, where: Iterable[str] = (), facts: Iterable[str] = ()) -> Agreement:
    """Whether `second` computes what `first` does, where its inputs are what `where` says and the `facts` hold.

    Raises SpecError where the question has no meaning: see `derive.correspondence.pair`.
    """
    both = pair(first, second, tuple(where), tuple(facts))
    known = Known(both.layer.facts, {e.target.tensor: e for e in both.layer.equations}, _values(both.layer))
    claims = []
    for claim in both.claims:
        verdicts = [(_tried(both, claim.equation, value), value) for value in claim.values]
        able = [value for (verdict, _), value in verdicts if verdict != FAILS]
        if not able:
            message = verdicts[0][0][1] if verdicts else "their axes differ"
            return Agreement(first, second, both, difference=f"{claim.equation.target.tensor}: {message}")
        claims.append(Claim(claim.equation, (able[0],)))
    try:
        return Agreement(first, second, both, _Prover(both, known).prove(claims))
    except _Stuck as stuck:
        return Agreement(first, second, both, stuck=str(stuck))


def proved(first: Layer, second: Layer, both: Pair, likely: Mapping[str, Expr]) -> Agreement:
    """The agreement of two layers that are one already, each claim with its one value.

    `likely` says of what the second layer computes on the way what it is to be in the first. The claims are tried at numbers where
    no proof is found.
    """
    known = Known(both.layer.facts, {e.target.tensor: e for e in both.layer.equations}, _values(both.layer))
    try:
        return Agreement(first, second, both, _Prover(both, known, likely).prove(list(both.claims)))
    except _Stuck as stuck:
        verdict, message = next(_tried(both, c.equation, c.values[0]) for c in both.claims if c.equation.target.tensor == str(stuck))
        return Agreement(first, second, both, difference=message if verdict == FAILS else "", stuck=str(stuck))


def in_catalogue(layer: Layer) -> tuple[Agreement, ...]:
    """The layers of the catalogue of which it is declared, with this one, that they compute the same."""
    from derive.layers import layer as read

    found = [agreement(read(s.first), read(s.second), s.where, s.facts) for s in declared(layer) if s.first == layer.name]
    return tuple(each for each in found if each.proved)


def declared(layer: Layer) -> tuple[Same, ...]:
    """The claims of `derive.layers.equals` about a layer; none for a layer that only has the name of one in the catalogue."""
    claims = equals_of(layer.name)
    if not claims:
        return ()
    from derive.layers import layer as read

    own = read(layer.name)
    same = (own.tensors, own.equations, own.facts) == (layer.tensors, layer.equations, layer.facts)
    return claims if same else ()


def _values(layer: Layer) -> dict[str, str]:
    return {t.name: t.values for t in layer.tensors if t.values is not None}


def _tried(both: Pair, equation: Equation, value: Expr) -> tuple[str, str]:
    """The checker's verdict on the bare claim in random worlds, with both values where they differ."""
    layer = both.layer
    target = equation.target
    # Under another name, so that a recurrence keeps its definition.
    name = next(name for name in ("claim", "claimed", "claims") if name not in {tensor.name for tensor in layer.tensors})
    same = Equation(Ref(name, target.indices), target)
    tensors = (*layer.tensors, Tensor(name, layer.tensor(target.tensor).dims))
    claim = Proof(name, "equality", same, (Step("claim", value),), tensors, layer.equations, layer.facts, layer.batch, None, layer.sizes)
    last = check_proof(proof_json(claim), 0, context_of(_document(layer, ())["layer"]))[-1]
    return last.verdict, last.message.replace("the line before", "the second").replace("this line", "the first")


def _document(layer: Layer, proofs: tuple[Proof, ...]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "layer": {
            "name": layer.name,
            "tensors": [tensor_json(t) for t in layer.tensors],
            "equations": [equation_json(e) for e in layer.equations],
            "facts": [fact_json(f) for f in layer.facts],
            "inputs": list(layer.inputs),
            "outputs": list(layer.outputs),
            "wrt": list(layer.wrt),
            "batch": [expr_json(i) for i in layer.batch],
            **sizes_json(layer.sizes),
        },
        "proofs": [proof_json(p) for p in proofs],
    }


class _Stuck(Exception):
    """No chain was found; the message says how far it went."""


class _Prover:
    def __init__(self, both: Pair, known: Known, likely: Mapping[str, Expr] | None = None) -> None:
        self.likely = likely or {}
        self.both = both
        self.known = known
        self.layer = both.layer
        # What a recurrence computes cannot be written out.
        walked = recurrent(both.layer.equations)
        self.walked = {e.target.tensor: e for e in both.first if e.target.tensor in walked}
        self.own = {e.target.tensor: e for e in both.first if e.target.tensor not in walked}
        self.other = {e.target.tensor: e for e in both.second if e.target.tensor not in walked}
        self.bridges = {e.target.tensor: e for e in both.bridges}
        self.lemmas: dict[str, Proof] = {}

    def prove(self, claims: list[Claim]) -> tuple[Proof, ...]:
        wanted = {claim.equation.target.tensor: claim.values[0] for claim in claims}
        for group in groups(self.both.second):
            if group.recurs:
                self._induction(group, wanted)
                continue
            name, equation = group.members[0], group.equations[0]
            if name not in self.other:
                continue
            found = None
            for value in (wanted[name],) if name in wanted else self._candidates(equation):
                found = self._chain(equation, value, final=name in wanted)
                if found is not None:
                    self.lemmas[name] = found
                    break
            if found is None and name in wanted:
                raise _Stuck(name)
        unproved = [name for name in wanted if name not in self.lemmas]
        if unproved:
            raise _Stuck(unproved[0])
        needed: dict[str, None] = {}
        waiting = list(wanted)
        while waiting:
            name = waiting.pop()
            if name in self.lemmas and name not in needed:
                needed[name] = None
                waiting.extend(e.target.tensor for e in self.lemmas[name].given)
        return tuple(proof for name, proof in self.lemmas.items() if name in needed)

    def _shown(self) -> dict[str, Equation]:
        """What has been proved of the second layer's tensors."""
        return {name: Equation(p.goal.value, p.result.value) if _is_alias(p) else p.result for name, p in self.lemmas.items()}  # type: ignore[arg-type]

    def _induction(self, group: Group, wanted: Mapping[str, Expr]) -> None:
        """The proofs that the members of a recurrence are those of one of the first layer's.

        Each entry is so where the entries that it reads are: those nearer to where the axis is walked from, and at its own place
        those of members that were shown before it.
        """
        claims: dict[str, Equation] = {}
        for equation in group.equations:
            value = wanted.get(equation.target.tensor) or self.likely.get(equation.target.tensor)
            if not isinstance(value, Ref) or value.tensor not in self.walked:
                return
            claims[equation.target.tensor] = Equation(equation.target, value)
        found: dict[str, Proof] = {}
        for equation in group.equations:
            target, value = equation.target, claims[equation.target.tensor].value
            start = [Line("given", target), Line("unfold", equation.value, f"what {target.tensor} is")]
            start += self._opened(start[-1].after, target, self.bridges, "where", lambda e: f"what {e.target.tensor} is here")
            start += self._opened(start[-1].after, target, self._shown(), "lemma", lambda e: f"what was shown of {e.target.tensor}")
            start += self._opened(start[-1].after, target, claims, "induction", lambda e: "the entries before it are equal")
            end = [Line("given", value)]
            end += self._opened(value, target, self.walked, "unfold", lambda e: f"what {e.target.tensor} is")
            met = _meeting(start[2:], end)
            met = None if met is None else (met[0] + 2, met[1])
            if met is None:
                start += normalised(start[-1].after, self.known, target)
                end += normalised(end[-1].after, self.known, target)
                met = _meeting(start, end)
            if met is None:
                return
            alias = Ref(self._free_name(f"{target.tensor}_is"), target.indices)
            found[target.tensor] = self._proof(Equation(alias, target), start, end, met)
        self.lemmas.update(found)

    def _free_name(self, name: str) -> str:
        taken = {tensor.name for tensor in self.layer.tensors}
        return next(each for each in itertools.chain((name,), (f"{name}_{n}" for n in itertools.count(2))) if each not in taken)

    def _candidates(self, equation: Equation) -> list[Expr]:
        """The entries of the first layer's tensors that run over the same axes, those of equations alike first."""
        from derive.correspondence import _entries

        found: list[Expr] = []
        if equation.target.tensor in self.likely:
            found.append(self.likely[equation.target.tensor])
        axes = sorted(self.layer.tensor(equation.target.tensor).dims)
        for name in self.own:
            if sorted(self.layer.tensor(name).dims) == axes:
                found += list(_entries(equation.target, name, self.layer))[:2]
        return found

    def _chain(self, equation: Equation, value: Expr, final: bool) -> Proof | None:
        """The proof that the equation's target is `value`; what is not final is tried with little effort."""
        start = [Line("given", equation.value)]
        start += self._opened(start[-1].after, equation.target, self.bridges, "where", lambda e: f"what {e.target.tensor} is here")
        lemmas = self._shown()
        start += self._opened(start[-1].after, equation.target, lemmas, "lemma", lambda e: f"what was shown of {e.target.tensor}")
        end = [Line("given", value)]
        if isinstance(value, Ref) or final:
            end += self._opened(value, equation.target, self.own, "unfold", lambda e: f"what {e.target.tensor} is")
        met = _meeting(start, end)
        if met is not None:
            return self._proof(equation, start, end, met)
        if not final and len(tensors_in(equation.value)) != len(tensors_in(end[-1].after)):
            return None
        open_first = {name: e for name, e in self.other.items() if name not in self.lemmas and name != equation.target.tensor}
        while any(name in open_first for name in tensors_in(start[-1].after)):
            start += self._opened(start[-1].after, equation.target, open_first, "unfold", lambda e: f"what {e.target.tensor} is")
            start += self._opened(start[-1].after, equation.target, self.bridges, "where", lambda e: f"what {e.target.tensor} is here")
            start += self._opened(start[-1].after, equation.target, lemmas, "lemma", lambda e: f"what was shown of {e.target.tensor}")
        for by_definition in (False, True) if final else (False,):
            left, right = list(start), list(end)
            for _ in range(MOST_UNFOLDED if final else 1):
                try:
                    reach = [list(left), list(right)]
                    for side in reach:
                        side += normalised(side[-1].after, self.known, equation.target, by_definition)
                except TooLong:
                    return None
                met = _meeting(*reach)
                if met is not None:
                    return self._proof(equation, reach[0], reach[1], met)
                latest = self._latest(left[-1].after, right[-1].after)
                if latest is None:
                    break
                for side in (left, right):
                    side += self._opened(
                        side[-1].after, equation.target, {latest: self.own[latest]}, "unfold", lambda e: f"what {e.target.tensor} is"
                    )
        return None

    def _latest(self, *exprs: Expr) -> str | None:
        """The first layer's last-defined tensor among those that the expressions mention."""
        mentioned = {name for expr in exprs for name in tensors_in(expr)}
        return next((name for name in reversed(self.own) if name in mentioned), None)

    def _opened(self, expr: Expr, target: Ref, equations: dict[str, Equation], rule: str, say: Callable[[Equation], str]) -> list[Line]:
        used = [equations[name] for name in tensors_in(expr) if name in equations]
        if not used:
            return []
        after = rules.rename_bound(rules.unfold(expr, used), target)
        note = ", ".join(dict.fromkeys(say(e) for e in used))
        return [Line("unfold" if rule == "where" else rule, after, note)] if after != expr else []

    def _proof(self, equation: Equation, start: list[Line], end: list[Line], met: tuple[int, int]) -> Proof:
        """The lines up to where the two sides meet, then the other side's backwards."""
        here, there = met
        lines = [*start[1 : here + 1]]
        for n in range(there, 0, -1):
            line = end[n]
            rule = "fold" if line.rule == "unfold" else line.rule
            note = line.note if rule == "fold" else f"{line.note}, read from right to left" if line.note else "read from right to left"
            lines.append(Line(rule, end[n - 1].after, note, line.detail, line.facts))
        lines = [line for line, before in zip(lines, [start[0], *lines]) if line.after != before.after]
        facts = dict.fromkeys(fact for line in lines for fact in line.facts)
        facts.update(dict.fromkeys(domain(self.layer, (equation.value, *(line.after for line in lines)))))
        steps = tuple(
            Step(line.rule, line.after, line.note, "brief" if n == len(lines) - 1 else line.detail) for n, line in enumerate(lines)
        )
        return self._finished(equation, steps, tuple(facts))

    def _finished(self, equation: Equation, steps: tuple[Step, ...], facts: tuple[Fact, ...]) -> Proof:
        # What was shown of a recurrence is of its entries by themselves: its definition stands.
        shown = {name: proof.result for name, proof in self.lemmas.items() if not _is_alias(proof)}
        mentioned: dict[str, None] = {}
        for expr in (equation.value, *(s.after for s in steps)):
            mentioned.update(dict.fromkeys(tensors_in(expr)))
        given: dict[str, Equation] = {}
        waiting = list(mentioned)
        while waiting:
            name = waiting.pop()
            found = shown.get(name) or next((e for e in self.layer.equations if e.target.tensor == name), None)
            if found is None or name in given or name == equation.target.tensor:
                continue
            given[name] = found
            waiting.extend(tensors_in(found.value))
        order = [e.target.tensor for e in self.layer.equations]
        # A lemma's right side mentions the first layer's tensors, all of which are defined before the second's.
        ordered = tuple(given[name] for name in order if name in given)
        everything = {equation.target.tensor, *mentioned, *given, *(n for e in ordered for n in tensors_in(e.value))}
        kept = tuple(f for f in facts if {*tensors_in(f.left), *tensors_in(f.right)} <= everything)
        counts = {name for length in self.layer.sizes for name in tensors_in(length.value)}
        tensors = tuple(t for t in self.layer.tensors if t.name in everything | counts)
        name = equation.target.tensor
        if isinstance(equation.value, Ref) and name not in {t.name for t in tensors}:
            tensors += (Tensor(name, self.layer.tensor(equation.value.tensor).dims),)
            name = equation.value.tensor
        made = Proof(name, "equality", equation, steps, tensors, ordered, kept, self.layer.batch, None, self.layer.sizes)
        return finish(made, {t.name: t for t in tensors})


def _is_alias(proof: Proof) -> bool:
    """Whether a proof is of the entries of a tensor under a name of its own, so that the tensor keeps its definition."""
    return proof.goal.target.tensor != proof.name


def _meeting(start: list[Line], end: list[Line]) -> tuple[int, int] | None:
    """Where the two sides agree with the fewest lines in all."""
    best = None
    for n, line in enumerate(start):
        for m, other in enumerate(end):
            if (best is None or n + m < sum(best)) and equal(line.after, other.after):
                best = (n, m)
    return best
