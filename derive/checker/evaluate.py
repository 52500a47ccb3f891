"""Evaluation of index notation, entry by entry, and of its derivatives by the tangent part of dual numbers.

An expression is compiled once for a world into nested functions of an environment, a list with the value of every index in
scope. Tensors with a definition are evaluated lazily and remembered. A derivative is the tangent part of a dual number: the
perturbed entry carries 1, every other held entry 0, and the tensors that vary are recomputed by their definitions; the
tangent of a subexpression that cannot depend on the entry is known to be 0 without evaluating it.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from operator import itemgetter
from typing import Any

from derive.checker import pinned
from derive.checker.arithmetic import Arithmetic, CannotTell, Number, OutsideDomain, function
from derive.checker.elimination import Dual, Rows, determinant, inverse
from derive.checker.structure import fraction, free_scope

Node = Any
Key = tuple[int, ...]
Env = list[int]
Value = Callable[[Env], Number]
Scope = dict[str, int]
RELATIONS: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}
DEPTH = 40  # indices in scope at once, more than any formula a person could read


class Seed:
    """What carries a tangent: one entry of a tensor (`key`), or (`key` None) every entry along a given direction."""

    def __init__(self, key: Key | None) -> None:
        self.key = key
        self.memo: dict[str, dict[Key, Number]] = {}


Tangent = Callable[[Env, Seed], Number]


class Channel:
    """Which tensors carry the tangent (name -> the tensor that holds its direction, or None for one entry), and which vary."""

    def __init__(self, sources: Mapping[str, str | None], through: frozenset[str]) -> None:
        self.sources = dict(sources)
        self.through = through
        self.again = {name for name, direction in sources.items() if direction is None and name in through}
        """The tensor of the perturbed entry, where its other entries vary by their definition: later ones of a recurrence."""
        self.depends: dict[str, bool] = {}
        self.compiled: dict[str, Tangent] = {}
        self.seeds: dict[Key | None, Seed] = {}


class World:
    """Axis sizes, values of the free tensors, and the definitions of the others."""

    def __init__(
        self, sizes: Mapping[str, int], arithmetic: Arithmetic, definitions: Mapping[str, Node], values: Mapping[str, Mapping[Key, Number]]
    ) -> None:
        self.sizes = sizes
        self.arithmetic = arithmetic
        self.definitions = definitions
        self.values = values
        self._readers: dict[str, Callable[[Key], Number]] = {}
        self._channels: dict[tuple[Any, ...], Channel] = {}

    # ------------------------------------------------------------------------------------------------ tensors

    def reader(self, name: str) -> Callable[[Key], Number]:
        """The entries of a tensor, as a function of their position."""
        if name not in self._readers:
            self._readers[name] = self._defined(name) if name in self.definitions else self.values[name].__getitem__
        return self._readers[name]

    def _defined(self, name: str) -> Callable[[Key], Number]:
        equation = self.definitions[name]
        memo: dict[Key, Number] = {}
        pending: set[Key] = set()
        body: list[Value] = []

        def read(key: Key) -> Number:
            found = memo.get(key)
            if found is None:
                if not body:
                    body.append(self.compile(equation["value"], scope_of(equation["target"])))
                if key in pending:
                    raise CannotTell(f"an entry of {name} rests on itself")
                pending.add(key)
                try:
                    found = memo[key] = self.arithmetic.keep(body[0]([*key, *_PADDING]))
                finally:
                    pending.remove(key)
            return found

        return read

    def evaluate(self, value: Value, key: Key) -> Number:
        return value([*key, *_PADDING])

    # ------------------------------------------------------------------------------------------------ values

    def compile(self, node: Node, scope: Scope) -> Value:
        """`node` as a function of the environment; `scope` says where each index stands in it."""
        kind = node[0]
        if kind in ("num", "size"):
            constant = self.arithmetic.number(fraction(node[1])) if kind == "num" else self.sizes[node[1]]
            return lambda env: constant
        if kind == "ref":
            return self._ref(node, scope)
        if kind == "delta":
            return self._delta(node, scope)
        if kind == "position":
            return self._index(node[1], scope)
        if kind == "iverson":
            holds, left, right = RELATIONS[node[1]], self.compile(node[2], scope), self.compile(node[3], scope)
            return lambda env: 1 if holds(left(env), right(env)) else 0
        if kind == "add":
            return _sum_of([self.compile(part, scope) for part in node[1]])
        if kind == "mul":
            return _product_of([self.compile(part, scope) for part in _cheap_first(node[1])])
        if kind == "pow":
            return self._power(self.compile(node[1], scope), fraction(node[2]), node[1][0] in ("num", "size"))
        if kind == "fn":
            call, arithmetic = function(node[1]).value, self.arithmetic
            parts = [self.compile(part, scope) for part in node[2]]
            return lambda env: call(arithmetic, *[part(env) for part in parts])
        if kind in ("sum", "max"):
            return self._reduction(node, scope)
        if kind == "matrixfn":
            matrix = self._matrix_function(node, scope, None)
            return lambda env: matrix(env, None).value
        if kind in ("diff", "along"):
            return self._derivative(node, scope)
        raise CannotTell(f"the checker knows no node {kind!r}")

    def _position(self, indices: list[Node], scope: Scope) -> Callable[[Env], Key]:
        if all(index[0] == "idx" for index in indices):
            slots = [scope[index[1]] for index in indices]
            if not slots:
                return lambda env: ()
            if len(slots) == 1:
                slot = slots[0]
                return lambda env: (env[slot],)
            return itemgetter(*slots)
        parts = [self._index(index, scope) for index in indices]
        return lambda env: tuple(part(env) for part in parts)

    def _outside(self, indices: list[Node]) -> Callable[[Key], bool] | None:
        """Whether a key lies outside of its axes, where entries are 0; None where it never does."""
        places = [(n, self.sizes[index[2]]) for n, index in enumerate(indices) if index[0] == "affine"]
        return (lambda key: not all(0 <= key[n] < size for n, size in places)) if places else None

    def _index(self, index: Node, scope: Scope) -> Callable[[Env], int]:
        if index[0] == "affine":
            return self.compile(index[1], scope)
        return itemgetter(scope[index[1]]) if index[0] == "idx" else self._ref(index, scope)

    def _ref(self, node: Node, scope: Scope) -> Value:
        read, position, outside = self.reader(node[1]), self._position(node[2], scope), self._outside(node[2])
        if outside is None:
            return lambda env: read(position(env))
        beyond = outside

        def entry(env: Env) -> Number:
            key = position(env)
            return 0 if beyond(key) else read(key)

        return entry

    def _delta(self, node: Node, scope: Scope) -> Value:
        first, second = self._index(node[1], scope), self._index(node[2], scope)
        return lambda env: 1 if first(env) == second(env) else 0

    def _power(self, base: Value, exponent: Fraction, constant: bool) -> Value:
        arithmetic = self.arithmetic
        if constant:
            value = arithmetic.power(base([]), exponent)
            return lambda env: value
        if exponent == -1:
            return lambda env: arithmetic.inverse(base(env))
        if exponent == 2:
            return lambda env: base(env) ** 2
        return lambda env: arithmetic.power(base(env), exponent)

    def _loop(self, indices: list[Node], scope: Scope) -> tuple[Scope, int, int, list[range]]:
        start = len(scope)
        inner = {**scope, **{index[1]: start + n for n, index in enumerate(indices)}}
        if len(inner) != start + len(indices) or len(inner) > DEPTH:
            raise CannotTell("a bound index hides another one")
        return inner, start, start + len(indices), [range(self.sizes[index[2]]) for index in indices]

    def _reduction(self, node: Node, scope: Scope) -> Value:
        inner, start, stop, ranges = self._loop(node[1], scope)
        body = self.compile(node[2], inner)
        pins = _pins(node, inner)
        once = _once(ranges, pins, start)

        def total(env: Env) -> Number:
            result: Number = 0
            for combination in itertools.product(*once):
                env[start:stop] = combination
                for slot, other in pins:
                    env[slot] = env[other]
                result += body(env)
            return result

        def largest(env: Env) -> Number:
            best: Number = None
            for combination in itertools.product(*ranges):
                env[start:stop] = combination
                value = body(env)
                if best is None or value > best:
                    best = value
            return best

        return total if node[0] == "sum" else largest

    # ------------------------------------------------------------------------------------------------ matrices

    def _matrix_function(self, node: Node, scope: Scope, channel: Channel | None) -> Callable[[Env, Seed | None], Dual]:
        """The value of a function of a matrix, with its tangent where there is one; each matrix is eliminated once."""
        _, name, indices, body, at = node
        inner, start, stop, (rows, columns) = self._loop(indices, scope)
        entry, arithmetic = self.compile(body, inner), self.arithmetic
        slots = [inner[other] for other in free_scope(body) if inner[other] < start]
        slope = self._tangent(body, inner, channel) if channel is not None else None
        position = self._position(at, scope)
        memo: dict[tuple[Key, Seed | None], Any] = {}

        def cell(env: Env, seed: Seed | None, row: int, column: int) -> Dual:
            env[start:stop] = row, column
            value = entry(env)
            if slope is None or seed is None:
                return Dual(value)
            env[start:stop] = row, column
            return Dual(value, slope(env, seed))

        def function_of(env: Env, seed: Seed | None) -> Dual:
            label = (tuple(env[slot] for slot in slots), seed)
            if label not in memo:
                matrix: Rows = [[cell(env, seed, row, column) for column in columns] for row in rows]
                memo[label] = inverse(matrix, arithmetic) if name == "inv" else determinant(matrix, arithmetic)
            found = memo[label]
            if name == "inv":
                row, column = position(env)
                entry_found: Dual = found[row][column]
                return entry_found
            if name == "logdet" and seed is None:
                return Dual(arithmetic.log(abs(found.value)))
            return Dual(0, found.slope * arithmetic.inverse(found.value)) if name == "logdet" else Dual(found.value, found.slope)

        return function_of

    # ------------------------------------------------------------------------------------------------ derivatives

    def _derivative(self, node: Node, scope: Scope) -> Value:
        """`["diff", body, ref, through]` and `["along", body, {tensor: direction}, through]`."""
        one_entry = node[0] == "diff"
        sources = {node[2][1]: None} if one_entry else node[2]
        label = (tuple(sorted((name, direction or "") for name, direction in sources.items())), tuple(sorted(node[3])))
        channel = self._channels.setdefault(label, Channel(sources, frozenset(node[3])))
        position: Callable[[Env], Key | None] = self._position(node[2][2], scope) if one_entry else (lambda env: None)
        tangent = self._tangent(node[1], scope, channel)
        if tangent is None:
            return lambda env: 0
        seeds = channel.seeds

        def derivative(env: Env) -> Number:
            key = position(env)
            seed = seeds.get(key)
            if seed is None:
                seed = seeds[key] = Seed(key)
            return tangent(env, seed)

        return derivative

    def _depends(self, name: str, channel: Channel) -> bool:
        if name in channel.sources:
            return True
        if name not in channel.depends:
            seen = {name}
            waiting = [name]
            while waiting:  # in a recurrence tensors rest on one another
                other = waiting.pop()
                if other in channel.through and other not in channel.sources:
                    if other not in self.definitions:
                        raise CannotTell(f"{other} should vary, but has no definition")
                    more = [each for each in tensors_in(self.definitions[other]["value"]) if each not in seen]
                    seen.update(more)
                    waiting += more
            channel.depends[name] = any(other in channel.sources for other in seen)
        return channel.depends[name]

    def _tangent(self, node: Node, scope: Scope, channel: Channel) -> Tangent | None:
        """The tangent part of `node`; None where it is 0 whatever the entry."""
        kind = node[0]
        if kind == "ref":
            return self._tangent_of_ref(node, scope, channel)
        if kind in ("num", "size", "delta", "position", "iverson"):
            return None  # a step is flat wherever it is not at its edge
        if kind in ("diff", "along"):
            raise CannotTell("a derivative inside a derivative is more than the checker evaluates")
        if kind == "matrixfn":
            inner = self._loop(node[2], scope)[0]
            if self._tangent(node[3], inner, channel) is None:
                return None
            function_of = self._matrix_function(node, scope, channel)
            return lambda env, seed: function_of(env, seed).slope
        parts = node[1] if kind in ("add", "mul") else node[2] if kind == "fn" else [node[1]] if kind == "pow" else None
        if parts is None:
            return self._tangent_of_reduction(node, scope, channel)
        tangents = [self._tangent(part, scope, channel) for part in (_cheap_first(parts) if kind == "mul" else parts)]
        live = [(n, tangent) for n, tangent in enumerate(tangents) if tangent is not None]
        if not live:
            return None
        if kind == "add":
            return lambda env, seed: sum(tangent(env, seed) for _, tangent in live)
        if kind == "mul":
            values = [self.compile(part, scope) for part in _cheap_first(parts)]
            return _product_rule(values, [(tangent, values[:n] + values[n + 1 :]) for n, tangent in live], len(live))
        values = [self.compile(part, scope) for part in parts]
        return self._chain_rule(node, values, live)

    def _tangent_of_ref(self, node: Node, scope: Scope, channel: Channel) -> Tangent | None:
        name = node[1]
        if not self._depends(name, channel):
            return None
        position, outside = self._position(node[2], scope), self._outside(node[2])
        if name in channel.sources and name not in channel.again:
            direction = channel.sources[name]
            if direction is None:
                return lambda env, seed: 1 if position(env) == seed.key else 0
            along = self.reader(direction)
            return lambda env, seed: 0 if outside and outside(position(env)) else along(position(env))
        compiled = channel.compiled
        if name not in compiled:
            equation = self.definitions[name]
            compiled[name] = lambda env, seed: 0  # until it is known: a recurrence mentions itself
            body = self._tangent(equation["value"], scope_of(equation["target"]), channel)
            if body is not None:
                compiled[name] = body

        def tangent(env: Env, seed: Seed) -> Number:
            key = position(env)
            if outside and outside(key):
                return 0
            memo = seed.memo.get(name)
            if memo is None:
                memo = seed.memo[name] = {}
            found = memo.get(key)
            if found is None:
                passed = self.arithmetic.keep(compiled[name]([*key, *_PADDING], seed))
                found = memo[key] = passed + 1 if name in channel.again and key == seed.key else passed
            return found

        return tangent

    def _chain_rule(self, node: Node, inner: list[Value], live: list[tuple[int, Tangent]]) -> Tangent:
        arithmetic = self.arithmetic
        if node[0] == "pow":
            exponent = fraction(node[2])
            slopes: list[Callable[..., Number]] = [lambda a, x: a.number(exponent) * a.power(x, exponent - 1)]
        else:
            slopes = list(function(node[1]).partials)

        def tangent(env: Env, seed: Seed) -> Number:
            total: Number = 0
            for n, part in live:
                change = part(env, seed)
                if change:
                    total += change * slopes[n](arithmetic, *[value(env) for value in inner])
            return total

        return tangent

    def _tangent_of_reduction(self, node: Node, scope: Scope, channel: Channel) -> Tangent | None:
        inner, start, stop, ranges = self._loop(node[1], scope)
        tangent = self._tangent(node[2], inner, channel)
        if tangent is None:
            return None
        value = self.compile(node[2], inner)
        pins = _pins(node, inner)
        once = _once(ranges, pins, start)
        entries: dict[int, list[int]] = {}
        if node[0] == "sum" and None in channel.sources.values() and not channel.again:
            found = pinned.by_entry(node[1], node[2], set(channel.sources), tensors_in, lambda name: self._depends(name, channel))
            tied = {slot for slot, _ in pins}
            entries = {inner[name] - start: places for name, places in found.items() if inner[name] not in tied}

        def total(env: Env, seed: Seed) -> Number:
            result: Number = 0
            own: list[Collection[int]] = [*once]
            for n, places in entries.items() if seed.key is not None else ():
                own[n] = [at for at in dict.fromkeys(seed.key[place] for place in places) if at in own[n]]  # type: ignore[index]
            for combination in itertools.product(*own):
                env[start:stop] = combination
                for slot, other in pins:
                    env[slot] = env[other]
                result += tangent(env, seed)
            return result

        def at_the_largest(env: Env, seed: Seed) -> Number:
            ranked = []
            for combination in itertools.product(*ranges):
                env[start:stop] = combination
                ranked.append((value(env), combination))
            best = max(number for number, _ in ranked)
            where = [combination for number, combination in ranked if number == best]
            if len(where) > 1:
                raise OutsideDomain("a tie inside max")
            env[start:stop] = where[0]
            return tangent(env, seed)

        return total if node[0] == "sum" else at_the_largest


_PADDING = (0,) * DEPTH


def _pins(node: Node, inner: Scope) -> list[tuple[int, int]]:
    """The places in the environment of those of a sum's indices that count only where they equal another one, and that one's."""
    found = pinned.by_deltas(node[1], node[2]) if node[0] == "sum" else {}
    return [(inner[name], inner[other]) for name, other in found.items() if other in inner]


def _once(ranges: list[range], pins: list[tuple[int, int]], start: int) -> list[range]:
    """The ranges of a sum's indices; those that follow another one go through nothing of their own."""
    return [range(1) if start + n in {slot for slot, _ in pins} else each for n, each in enumerate(ranges)]


def scope_of(target: Node) -> Scope:
    """Where the indices of an equation's target stand in the environment."""
    return {index[1]: n for n, index in enumerate(target[2])}


def tensors_in(node: Node) -> tuple[str, ...]:
    """Every tensor that `node` mentions, also inside indices."""
    found: dict[str, None] = {}
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, list) and item:
            if item[0] == "ref":
                found[item[1]] = None
            elif item[0] == "along":
                found.update(dict.fromkeys(name for pair in item[2].items() for name in pair))
            stack.extend(reversed(item))
    return tuple(found)


def moving_in(node: Node) -> tuple[str, ...]:
    """The tensors that `node` mentions outside conditions, which are flat wherever they are not at their edge."""
    if isinstance(node, list) and node and node[0] == "iverson":
        return ()
    found = {node[1]: None} if isinstance(node, list) and node and node[0] == "ref" else {}
    for part in node if isinstance(node, list) else ():
        found.update(dict.fromkeys(moving_in(part)))
    return tuple(found)


def _cheap_first(factors: list[Node]) -> list[Node]:
    """Deltas and conditions before everything else, then derivatives: where one is 0 nothing else is looked at, not even whether it
    has a value. In the chain rule a gradient counts only where something depends on the entry."""
    return sorted(factors, key=lambda factor: 0 if factor[0] in ("delta", "iverson") else 1 if factor[0] == "diff" else 2)


def _sum_of(parts: list[Value]) -> Value:
    if len(parts) == 2:
        first, second = parts
        return lambda env: first(env) + second(env)
    return lambda env: sum(part(env) for part in parts)


def _product_of(parts: list[Value]) -> Value:
    def product(env: Env) -> Number:
        result: Number = 1
        for part in parts:
            result *= part(env)
            if not result:
                return 0
        return result

    return product


def _product_rule(values: list[Value], live: list[tuple[Tangent, list[Value]]], count: int) -> Tangent:
    def tangent(env: Env, seed: Seed) -> Number:
        total: Number = 0
        for change, others in live:
            product = change(env, seed)
            for other in others:
                if not product:
                    break
                product *= other(env)
            total += product
        return total

    return tangent
