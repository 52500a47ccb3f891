"""What is held between the two passes: bytes that the generated kernels save, next to eager autograd on the same equations.

Run `python -m benchmarks.saved [LAYER ...]`. Counted are storages that the graph holds beside the inputs, each once, in float32: by
the kernel, by the kernel that saves nothing (`codegen --without saving`), and by torch on the equations written out. The output is
counted apart: a network holds it in any case.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import codegen
from codegen.source import sources
from derive.engine import derive
from derive.layers import layer

NAMES = ("softmax", "log_softmax", "layer_norm", "rms_norm", "batch_norm", "gelu", "silu", "attention", "attention_causal")
NAMES += ("cross_entropy", "cross_entropy_labels", "linear_cross_entropy", "mlp_gelu", "mlp_swiglu", "huber", "info_nce")
LENGTH = 32


def inputs(name: str) -> list[Any]:
    """Inputs of a layer, every axis of the same length."""
    made: list[Any] = []
    draw = torch.Generator().manual_seed(0)
    spec = layer(name)
    for tensor in (spec.tensor(n) for n in spec.inputs):
        shape = (LENGTH,) * len(tensor.dims)
        if tensor.kind == "int":
            made.append(torch.randint(0, LENGTH, shape, generator=draw))
        else:
            made.append(torch.rand(shape, generator=draw).requires_grad_(tensor.name in spec.wrt))
    return made


def held(function: Callable[..., Any], given: list[Any]) -> tuple[int, int]:
    """Bytes that the graph of a call holds, beside its inputs, and of these the bytes of the outputs."""
    storages: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        values = function(*given)
    values = values if isinstance(values, tuple) else (values,)
    own = {value.untyped_storage().data_ptr() for value in given}
    outputs = {value.untyped_storage().data_ptr() for value in values}
    beside = {place: storage.nbytes() for place, storage in storages.items() if place not in own}
    return sum(beside.values()), sum(size for place, size in beside.items() if place in outputs)


def equations(name: str) -> Callable[..., Any]:
    """The layer's equations in torch, as its generated test writes them."""
    text = sources(derive(layer(name)), ("test",))["test"]
    module: dict[str, Any] = {"__name__": "equations", "__file__": __file__}
    exec(compile(text, "<equations>", "exec"), module)
    return module["plain"]  # type: ignore[no-any-return]


def main(names: list[str]) -> int:
    print(f"every axis of length {LENGTH}; bytes beside inputs, and of these the output's own")
    print(f"{'layer':24} {'kernel':>20} {'saving nothing':>20} {'eager':>20}")
    worse = 0
    for name in names or NAMES:
        given = inputs(name)
        functions = codegen.kernel(layer(name)), codegen.kernel(layer(name), without=("saving",)), equations(name)
        found = [held(function, given) for function in functions]
        worse += found[0][0] > found[2][0]
        print(f"{name:24} " + " ".join(f"{total:11,} {f'({own:,})' if own else '':>8}".rjust(20) for total, own in found))
    print(f"{worse or 'none'} of the kernels {'hold' if worse != 1 else 'holds'} more than eager autograd")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
