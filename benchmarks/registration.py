"""How torch should know a kernel: an autograd Function or operators of torch.library, by what a call costs and what goes through it.

Run `python -m benchmarks.registration [LAYER ...]`. Times are those of the smallest inputs, so that they are the cost of a call: the
best of several rounds, forward and backward together, in microseconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import codegen
from derive.layers import layer

NAMES = ("softmax", "linear", "attention", "layer_norm", "cross_entropy_labels", "embedding")
ROUNDS, CALLS = 20, 20
GIVEN = torch.arange(6.0).reshape(2, 3) / 4
THROUGH: dict[str, Callable[[Any], Any]] = {
    "func.grad": lambda function: torch.func.grad(lambda x: function(x).square().sum())(GIVEN),
    "func.jvp": lambda function: torch.func.jvp(function, (GIVEN,), (GIVEN.flip(1),)),
    "vmap": lambda function: torch.vmap(function)(GIVEN.expand(4, 2, 3)),
    "func.hessian": lambda function: torch.func.hessian(lambda x: function(x).square().sum())(GIVEN),
    "compile": lambda function: torch.compile(function, fullgraph=True, backend="aot_eager")(GIVEN),
}
"""What a function of the rows of a matrix may be put through."""


def inputs(name: str) -> list[Any]:
    """The smallest inputs of a layer, every axis of length 2."""
    made: list[Any] = []
    spec = layer(name)
    for tensor in (spec.tensor(n) for n in spec.inputs):
        shape = (2,) * len(tensor.dims)
        made.append(
            torch.zeros(shape, dtype=torch.long) if tensor.kind == "int" else torch.ones(shape, requires_grad=tensor.name in spec.wrt)
        )
    return made


def cost(function: Callable[..., Tensor], given: list[Any]) -> float:
    """Microseconds of a call, forward and backward."""
    moving = [value for value in given if value.requires_grad]

    def once() -> None:
        value = function(*given)
        torch.autograd.grad(value, moving, torch.ones_like(value))

    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            once()
        best = min(best, time.perf_counter() - start)
    return best / CALLS * 1e6


def goes(function: Callable[[Tensor], Tensor], through: Callable[[Any], Any]) -> bool:
    """Whether softmax goes through, and what comes out is right."""
    wanted = through(lambda x: torch.softmax(x, -1))
    try:
        torch.testing.assert_close(through(function), wanted)
    except Exception:
        return False
    return True


def main(names: list[str]) -> int:
    torch.set_num_threads(1)
    print(f"{'layer':24} {'Function':>10} {'library':>10}  microseconds of a call, forward and backward")
    for name in names or NAMES:
        given = inputs(name)
        function, operator = (cost(codegen.kernel(layer(name), target), given) for target in ("torch", "library"))
        print(f"{name:24} {function:10.1f} {operator:10.1f}")
    kernels = [codegen.kernel(layer("softmax"), target) for target in ("torch", "library")]
    print(f"\n{'goes through':24} {'Function':>10} {'library':>10}")
    for what, through in THROUGH.items():
        print(f"{what:24} " + " ".join(f"{'yes' if goes(kernel, through) else 'no':>10}" for kernel in kernels))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
