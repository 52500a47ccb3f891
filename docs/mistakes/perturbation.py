"""The gradient by moving each weight a little, next to the derived one: `python docs/mistakes/perturbation.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import codegen
from derive import Layer

QUADRATIC = "L = sum(n, (sum(k, X[n,k]*w[k]) - y[n])^2)"
CURVED = "L = sum(n, (tanh(sum(k, X[n,k]*w[k])) - y[n])^2)"

Array = Any


def moved(loss: Callable[[Array], float], w: Array, h: float, both: bool) -> Array:
    """The quotient for each weight: one run at w and one for each weight, or with `both` two for each weight."""
    start = 0.0 if both else loss(w)
    steps = h * np.eye(len(w))
    if both:
        return np.array([(loss(w + step) - loss(w - step)) / (2 * h) for step in steps])
    return np.array([(loss(w + step) - start) / h for step in steps])


def run(name: str, text: str) -> None:
    """Print the largest error of both quotients for smaller and smaller h."""
    kernel = codegen.kernel(Layer.parse(name, text), "numpy")
    draw = np.random.default_rng(0)
    X, w, y = draw.standard_normal((8, 6)), draw.standard_normal(6), draw.standard_normal(8)
    passes = 0

    def loss(at: Array) -> float:
        nonlocal passes
        passes += 1
        return float(kernel.forward(X, at, y)[0])

    _, saved = kernel.forward(X, w, y)
    exact = kernel.backward(1.0, saved)[1]
    print(f"{name}: {text}")
    print("      h   one side   h max diag X^T X   both sides" if name == "quadratic" else "      h   one side   both sides")
    for h in (1e-1, 1e-2, 1e-3):
        one, both = (np.abs(moved(loss, w, h, sides) - exact).max() for sides in (False, True))
        bound = f"   {h * (X**2).sum(axis=0).max():>16.2e}" if name == "quadratic" else ""
        print(f"  {h:.0e}   {one:>8.2e}{bound}   {f'{both:>10.2e}' if both > 1e-9 else '  rounding'}")
    tiny = np.abs(moved(loss, w, 1e-13, False) - exact).max()
    print(f"  1e-13   {'rounding has eaten the digits: more than 1e-4' if tiny > 1e-4 else 'exact'}")
    passes = 0
    moved(loss, w, 1e-3, False)
    one_side, passes = passes, 0
    moved(loss, w, 1e-3, True)
    print(f"  passes for {len(w)} weights: {one_side} one side, {passes} both sides; one forward and one backward for the derived gradient")


if __name__ == "__main__":
    run("quadratic", QUADRATIC)
    run("curved", CURVED)
