"""What kernels registered with torch.library share. A generated module gets a copy of the functions that it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _batched(operator: Any) -> Callable[..., Any]:
    """What an operator does to a batch: one after the other, since a rule may not use torch.vmap; the results have the batch in front."""

    def rule(info: Any, in_dims: Any, *arguments: Any) -> Any:
        each = [
            operator(*(value if dim is None else value.select(dim, n) for value, dim in zip(arguments, in_dims)))
            for n in range(info.batch_size)
        ]
        if isinstance(each[0], Tensor):
            return torch.stack(each), 0
        found = [torch.stack(parts) for parts in zip(*each)]
        return type(each[0])(found), type(each[0])(0 for _ in found)

    return rule
