"""Random layers over the spec language: a Hypothesis strategy for texts of one to four equations, and the check of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from reference import run, sizes_of

from derive.engine import Derivation, derive
from derive.spec import Layer

INPUTS = {"X": "NM", "W": "MC", "V": "NC", "u": "N", "v": "M", "w": "C", "s": ""}
INDICES = {"N": ("i", "a"), "M": ("j", "b"), "C": ("c", "d")}
COVER = {"N": "u", "M": "v", "C": "w"}
AXES = "axes i:N a:N j:M b:M e:M c:C d:C\nshape " + " ".join(f"{name}[{','.join(dims)}]" for name, dims in INPUTS.items() if dims)
PLACES = ("{0} + 1", "{0} - 1", "2*{0} - 1", "p*{0}", "position({0})", "{0} + {1} - 2", "p*{0} - {1} + 1", "size(N) - 1 - {0}", "1")
Scope = tuple[tuple[str, str], ...]  # (index, axis) in reach
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _entry(name: str, dims: str, scope: Scope, draw: Draw) -> str | None:
    chosen = []
    for dim in dims:
        here = [index for index, axis in scope if axis == dim]
        if not here:
            return None
        chosen.append(draw(st.sampled_from(here)))
    return name + (f"[{','.join(chosen)}]" if dims else "")


def _place(scope: Scope, draw: Draw) -> str:
    """Arithmetic on indices in reach, whatever axes they run over."""
    first, second = (draw(st.sampled_from(scope))[0] for _ in range(2))
    return str(draw(st.sampled_from(PLACES))).format(first, second)


def _displaced(scope: Scope, draw: Draw) -> str:
    """An entry of an input, one or all of its indices places."""
    name = str(draw(st.sampled_from([name for name, dims in sorted(INPUTS.items()) if dims])))
    here = {axis: index for index, axis in scope}
    indices = [here[dim] if dim in here and draw(st.booleans()) else _place(scope, draw) for dim in INPUTS[name]]
    return f"{name}[{','.join(indices)}]"


def _masked(kind: str, scope: Scope, inner: Callable[[Scope], str], draw: Draw) -> str:
    """A quotient under a condition by a sum under one: where it excludes a whole row there is nothing to divide, and nothing by."""
    condition = str(draw(st.sampled_from(("{0} < i", "{0} <= i", "{0} >= i", "{0} > i", "{0} != i", "{0} < i - 1", "{0} == i + 1"))))
    value = str(draw(st.sampled_from(("exp(X[i,{0}])", "(v[{0}])^2", "exp(v[{0}]*s)"))))

    def under(index: str, value: str) -> str:
        return f"where({condition.format(index)}, {value}, 0)"

    length = f"sum(e, {under('e', value.format('e'))})"
    here = next((index for index, axis in scope if axis == "M"), None)
    if kind == "masked" and here is not None:
        return under(here, value.format(here)) + f"/{length}"
    by = length if draw(st.booleans()) else str(draw(st.sampled_from(("u[i]", "s", "s^2"))))
    body = inner((("b", "M"),))
    return f"sum(b, {under('b', f'v[b]*({body})/{by}')})"


def _some_entry(scope: Scope, pool: dict[str, str], draw: Draw) -> str:
    found = [entry for name, dims in sorted(pool.items()) if (entry := _entry(name, dims, scope, draw))]
    return str(draw(st.sampled_from(found)))


def _formula(depth: int, scope: Scope, pool: dict[str, str], draw: Draw) -> str:
    kinds = ["entry", "entry", "entry", "number", "place"]
    if depth > 0:
        kinds = [
            "entry",
            "add",
            "mul",
            "mul",
            "sum",
            "sum",
            "function",
            "quotient",
            "square",
            "softmax",
            "sink",
            "where",
            "safe",
            "length",
            "lookup",
            "max",
        ]
        kinds += ["place", "place", "delta", "masked", "under"]
    kind = draw(st.sampled_from(kinds))

    def inner(wider: Scope = ()) -> str:
        return _formula(depth - 1, (*scope, *wider), pool, draw)

    fresh = [(index, axis) for axis, names in INDICES.items() for index in names if index not in {name for name, _ in scope}]
    if kind == "number":
        return str(draw(st.sampled_from(("2", "3", "1/2"))))
    if kind == "add":
        return f"({inner()} {draw(st.sampled_from('+-'))} {inner()})"
    if kind == "mul":
        return f"{inner()}*{inner()}"
    if kind in ("sum", "max") and fresh:
        index, axis = draw(st.sampled_from(fresh))
        return f"{kind}({index}, {COVER[axis]}[{index}]*{inner(((index, axis),))})"
    if kind == "function":
        return f"{draw(st.sampled_from(('exp', 'tanh', 'sigmoid', 'sin', 'relu', 'softplus')))}({inner()}/4)"
    if kind == "quotient":
        return f"({inner()})/(1 + ({inner()})^2)"
    if kind == "square":
        return f"({inner()})^2"
    if kind == "softmax" and ("i", "N") in scope and ("b", "M") in fresh:
        here = next((index for index, axis in scope if axis == "M"), None)
        if here is not None:
            return f"exp(X[i,{here}])/sum(b, exp(X[i,b]))"
    if kind == "sink" and ("i", "N") in scope and ("b", "M") in fresh:
        return f"exp({_some_entry(scope, pool, draw)}/4)/({draw(st.sampled_from(('1', 'exp(s)', 'exp(u[i])')))} + sum(b, exp(X[i,b])))"
    if kind in ("masked", "under") and ("i", "N") in scope and ("b", "M") in fresh:
        return _masked(kind, scope, inner, draw)
    if kind == "safe":
        by = _some_entry(scope, INPUTS, draw)
        return f"where({by} {draw(st.sampled_from(('> 0', '!= 0', '>= 1/2')))}, {inner()}/{by}, {inner()})"
    if kind == "length" and fresh:
        index, axis = draw(st.sampled_from(fresh))
        return f"sqrt(sum({index}, ({COVER[axis]}[{index}]*{inner(((index, axis),))})^2))"
    if kind == "where" and len(scope) > 1:
        first, second = draw(st.permutations(scope))[:2]
        return f"where({first[0]} {draw(st.sampled_from(('<=', '<', '!=')))} {second[0]}, {inner()}, {inner()})"
    if kind == "place":
        return _displaced(scope, draw)
    if kind == "delta" and fresh:
        index, axis = draw(st.sampled_from(fresh))
        target = draw(st.sampled_from(scope))[0]
        return f"sum({index}, {COVER[axis]}[{index}]*delta({target}, {_place(((index, axis),), draw)}))"
    if kind == "lookup" and ("i", "N") in scope:
        return "w[y[i]]"
    return _some_entry(scope, pool, draw)


@st.composite
def layers(draw: Draw) -> str:
    """The text of a layer of one to four equations; every equation uses the one before it."""
    pool = dict(INPUTS)
    count = draw(st.integers(1, 4))
    lines = [AXES]
    before = ""
    for number in range(count):
        last = number == count - 1
        shapes: tuple[Scope, ...] = ((("i", "N"), ("j", "M")), (("i", "N"), ("c", "C")))
        shapes = (*shapes, ()) if last else (*shapes, (("i", "N"),), (("j", "M"), ("c", "C")))
        target: Scope = draw(st.sampled_from(shapes))
        scope: Scope = target or (("i", "N"),)
        cover = {"ij": "X[i,j]", "i": "u[i]", "ic": "V[i,c]", "jc": "W[j,c]"}["".join(index for index, _ in scope)]
        body = f"{cover} {draw(st.sampled_from('*+'))} ({_formula(3, scope, pool, draw)})"
        if before:
            body = f"({body}) {draw(st.sampled_from('*+'))} {_whole(before, pool[before], scope)}"
        name = "Y" if last else "ABGH"[number]
        indices = ",".join(index for index, _ in target)
        if target and draw(st.integers(0, 4)) == 0:
            body = _earlier(name, target, body, draw)
        lines.append(f"{name}[{indices}] = {body}" if target else f"{name} = sum(i, {body})")
        pool[name] = "".join(axis for _, axis in target)
        before = name
    if any("p*" in line for line in lines):
        lines.insert(1, "int p")
    return "\n".join(lines)


def _earlier(name: str, target: Scope, body: str, draw: Draw) -> str:
    """A body that reads its own target at an earlier (or, walking back, a later) place along one of its axes."""
    walked, _ = draw(st.sampled_from(target))
    step = draw(st.sampled_from(("- 1", "- 1", "- 2", "+ 1")))
    places = {index: f"{index} {step}" if index == walked else index for index, _ in target}
    entry = f"{name}[{','.join(places.values())}]"
    rest = [(index, axis) for index, axis in target if index != walked]
    if rest and draw(st.booleans()):
        index, axis = rest[0]
        other = INDICES[axis][1]
        moved = entry.replace(f"[{index}", f"[{other}").replace(f",{index}", f",{other}")
        entry = f"sum({other}, {COVER[axis]}[{other}]*{moved})"
    return str(
        draw(st.sampled_from(("tanh({0} + {1})", "{0} + tanh({1})/2", "sin({0}*{1}) + {0}", "({0})/(1 + ({1})^2)"))).format(body, entry)
    )


def _whole(name: str, dims: str, scope: Scope) -> str:
    """An entry of an earlier tensor, summed over the axes that are not in reach."""
    here = {axis: index for index, axis in reversed(scope)}
    indices = [here.get(dim, INDICES[dim][1]) for dim in dims]
    missing = [INDICES[dim][1] for dim in dims if dim not in here]
    entry = f"{name}[{','.join(indices)}]" if dims else name
    return f"sum({','.join(missing)}, {entry})" if missing else entry


LAST_DIGIT = 2.0**-52


def disagreements(text: str, seed: int = 0) -> list[str]:
    """What is wrong with the derivation of a layer: gradients other than autograd's, lines that do not hold. Raises SpecError.

    Inputs whose last digit alone changes autograd's own gradients by more than a tenth of what is let pass say nothing about a
    gradient (a recurrence through sin may multiply rounding without end): those are halved until they do.
    """
    layer = Layer.parse("random", text)
    derivation = derive(layer)
    found: list[str] = []
    for halvings in range(8):
        found, stable = _compared(layer, derivation, seed, 0.5**halvings)
        if not found or stable:
            break
    report = derivation.check()
    if report.fails:
        found.append(f"{report.fails} lines do not hold")
    return found


def _compared(layer: Layer, derivation: Derivation, seed: int, scale: float) -> tuple[list[str], bool]:
    """The gradients other than autograd's at random inputs of a scale, and whether autograd's are themselves known there."""
    sizes = sizes_of(layer)
    draw = torch.Generator().manual_seed(seed)
    env = {}
    for name in layer.inputs:
        tensor = layer.tensor(name)
        shape = [sizes[dim] for dim in tensor.dims]
        if tensor.is_plain_integer:
            env[name] = torch.tensor(sizes[name])
        elif tensor.kind == "int":
            env[name] = torch.randint(0, sizes[str(tensor.values)], shape, generator=draw)
        else:
            env[name] = (scale * torch.randn(shape, generator=draw, dtype=torch.float64)).requires_grad_()
    (output,) = layer.outputs
    upstream = torch.randn([sizes[dim] for dim in layer.tensor(output).dims], generator=draw, dtype=torch.float64)
    wanted = _autograd(layer, env, sizes, upstream)
    given = {**{name: tensor.detach() for name, tensor in env.items()}, f"d{output}": upstream}
    ours = run((*derivation.forward, *derivation.backward), given, sizes)
    found = []
    for name, expected in wanted.items():
        mine = ours.get(f"d{name}")
        difference = _difference(torch.zeros_like(expected) if mine is None else mine, expected)
        if not difference <= 1e-9:
            found.append(f"d{name} differs from autograd by {difference:.1e} of its size")
    if not found:
        return found, True
    moved = {name: (t.detach() * (1 + LAST_DIGIT)).requires_grad_() if t.is_floating_point() else t for name, t in env.items()}
    again = _autograd(layer, moved, sizes, upstream)
    return found, all(_difference(again[name], expected) <= 1e-10 for name, expected in wanted.items())


def _autograd(layer: Layer, env: dict[str, torch.Tensor], sizes: dict[str, int], upstream: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of the equations as they stand."""
    (output,) = layer.outputs
    value = (run(layer.equations, env, sizes)[output] * upstream).sum()
    found = torch.autograd.grad(value, [env[name] for name in layer.wrt], allow_unused=True, materialize_grads=True)
    return dict(zip(layer.wrt, found))


def _difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference, as a part of the largest entry or of 1. Where a length is 0 for every input, autograd has no number
    and we have 0."""
    known = ~torch.isnan(expected)
    got, expected = got[known], expected[known]
    return float((got - expected).abs().max()) / max(1.0, float(expected.abs().max())) if expected.numel() else 0.0
