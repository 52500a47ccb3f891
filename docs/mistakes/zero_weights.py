"""Trains two layers from weights that are all zero, with biases and without: `python docs/mistakes/zero_weights.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import codegen
from derive import Layer

WITH = (Path(__file__).parent / "two_layers.layer").read_text("utf-8")
WITHOUT = WITH.replace(" + b_1[j]", "").replace(" + b_2[k]", "")


def run(name: str, text: str) -> None:
    """Print the largest entry of each parameter after one step and after two hundred."""
    layer = Layer.parse(name, text)
    kernel = codegen.kernel(layer, "numpy")
    draw = np.random.default_rng(0)
    sizes = dict(zip(layer.dims, (8, 3, 4, 2)))
    state = {each: np.zeros([sizes[dim] for dim in layer.tensor(each).dims]) for each in layer.inputs}
    state["X"] = draw.standard_normal(state["X"].shape)
    state["T"] = draw.standard_normal(state["T"].shape) + [1.0, -2.0]
    weights = [each for each in layer.wrt if each != "X"]
    print(name.replace("_", " "))
    for step in range(201):
        loss, saved = kernel.forward(*(state[each] for each in layer.inputs))
        if step in (0, 1, 200):
            largest = "   ".join(f"{each} {np.abs(state[each]).max():.3g}" for each in weights)
            print(f"  after {step:>3} steps: loss {loss:.4f}   largest entry of {largest}")
        for each, gradient in zip(layer.wrt, kernel.backward(1.0, saved)):
            if each != "X":
                state[each] = state[each] - 0.1 * gradient
    if "b_2" in state:
        apart = np.abs(state["b_2"] - state["T"].mean(axis=0)).max()
        print(f"  b_2 is {apart:.0e} away from the mean of the targets" if apart > 1e-12 else "  b_2 has become the mean of the targets")


if __name__ == "__main__":
    run("without_biases", WITHOUT)
    run("with_biases", WITH)
