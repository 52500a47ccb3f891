"""The generated functions and modules under what torch does to one: torch.func, compile, export, checkpoint, autocast, pickle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as theirs
import torch.utils.checkpoint
from torch import Tensor

import generated.torch.functional as ours
import generated.torch.modules as nn
from benchmarks import training
from benchmarks.opdb import compare_module, module_operators


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 2, 1, 2, 0, 1])
SEEN = random(6, 6, seed=3) > -0.5
WEIGHT, BIAS, SCALE, TARGET = random(4, 3, seed=1), random(4, seed=2), random(3, seed=1), random(6, 3, seed=1)

# One argument each, of shape (6, 3), so that every transform applies to all.
CALLS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "linear": lambda F, x: F.linear(x, WEIGHT, BIAS),
    "softmax": lambda F, x: F.softmax(x, 0),
    "attention": lambda F, x: F.scaled_dot_product_attention(x, x, x.sin(), attn_mask=SEEN),
    "causal attention": lambda F, x: F.scaled_dot_product_attention(x, x.cos(), x, is_causal=True),
    "layer_norm": lambda F, x: F.layer_norm(x, (3,), SCALE, SCALE.cos()),
    "cross_entropy": lambda F, x: F.cross_entropy(x, LABELS, ignore_index=1),
    "huber_loss": lambda F, x: F.huber_loss(x, TARGET, delta=0.7),
    "gelu": lambda F, x: F.gelu(x, approximate="tanh"),
}
every_call = pytest.mark.parametrize("name", CALLS)


def squared(F: Any, name: str) -> Callable[[Tensor], Tensor]:
    return lambda x: (CALLS[name](F, x) ** 2).sum()


def same(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-10)


@every_call
def test_func_transforms_agree(name: str) -> None:
    x, direction = random(6, 3), random(6, 3, seed=5)
    mine, wanted = (squared(F, name) for F in (ours, theirs))
    same(torch.func.grad(mine)(x), torch.func.grad(wanted)(x))
    same(torch.func.jvp(mine, (x,), (direction,)), torch.func.jvp(wanted, (x,), (direction,)))
    same(torch.func.jacrev(lambda x: CALLS[name](ours, x))(x), torch.func.jacrev(lambda x: CALLS[name](theirs, x))(x))
    same(torch.func.hessian(mine)(x), torch.func.hessian(wanted)(x))
    batch = random(4, 6, 3, seed=6)
    same(torch.func.vmap(torch.func.grad(mine))(batch), torch.stack([torch.func.grad(wanted)(each) for each in batch]))


@every_call
def test_compiles_whole_with_any_number_of_rows(name: str) -> None:
    torch._dynamo.reset()
    x = random(6, 3).requires_grad_()
    compiled = torch.compile(squared(ours, name), fullgraph=True, dynamic=True, backend="aot_eager")
    same(torch.autograd.grad(compiled(x), x), torch.autograd.grad(squared(theirs, name)(x), x))


@every_call
def test_checkpoint_recomputes_the_same(name: str) -> None:
    x = random(6, 3).requires_grad_()
    found = torch.utils.checkpoint.checkpoint(squared(ours, name), x, use_reentrant=False)
    same(torch.autograd.grad(found, x), torch.autograd.grad(squared(theirs, name)(x), x))


@every_call
def test_inputs_are_never_modified(name: str) -> None:
    x = random(6, 3)
    before = x.clone()
    x.requires_grad_()
    upstream = torch.ones_like(CALLS[name](ours, x))
    torch.autograd.grad(CALLS[name](ours, x), x, upstream)
    assert torch.equal(x.detach(), before) and (upstream == 1).all()


def test_only_the_gradients_asked_for_are_computed() -> None:
    weight = random(4, 3).requires_grad_()
    input = random(6, 3)
    (gradient,) = torch.autograd.grad(ours.linear(input, weight).sum(), weight)
    assert gradient.shape == weight.shape and input.grad is None
    assert not ours.linear(input, weight.detach()).requires_grad


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.loss = nn.Linear(3, 4), nn.LayerNorm(4), nn.CrossEntropyLoss()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.double()

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        hidden = self.norm(self.first(x))[None]
        return self.loss(self.attend(hidden, hidden, hidden, need_weights=False)[0][0], labels)


@pytest.mark.parametrize("strict", [False, True])
def test_export_keeps_the_value(strict: bool) -> None:
    block, x = Block(), random(6, 3)
    same(torch.export.export(block, (x, LABELS), strict=strict).module()(x, LABELS), block(x, LABELS))


def test_copies_and_pickles_give_the_same() -> None:
    block, x = Block(), random(6, 3)
    for copied in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        same(copied(x, LABELS), block(x, LABELS))


def test_state_dicts_load_both_ways() -> None:
    for name, arguments in {"Linear": (3, 4), "LayerNorm": (4,), "MultiheadAttention": (4, 2), "BatchNorm1d": (3,), "PReLU": ()}.items():
        mine, torchs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
        assert isinstance(mine, type(torchs))
        mine.load_state_dict(torchs.state_dict())
        torchs.load_state_dict(mine.state_dict())


LEAN = {"MultiheadAttention": 6, "CrossEntropyLoss": 12}


@pytest.mark.parametrize("info", module_operators(), ids=lambda info: info.module_cls.__name__)
def test_samples_of_the_database_of_modules_agree(info: Any) -> None:
    row = compare_module(info, torch.float64, limit=LEAN.get(info.module_cls.__name__, 4))
    assert row.samples and not row.failures


def test_autocast_may_still_hold_in_the_backward_pass() -> None:
    x, weight = random(6, 3).float().requires_grad_(), random(4, 3, seed=1).float().requires_grad_()
    gradients = []
    for F in (ours, theirs):
        with torch.autocast("cpu", torch.bfloat16):
            hidden = F.linear(x, weight)
            loss = F.cross_entropy(F.scaled_dot_product_attention(hidden, hidden, hidden), LABELS)
            gradients.append(torch.autograd.grad(loss, (x, weight)))
    for got, want in zip(*gradients):
        assert got.dtype == want.dtype == torch.float32
        torch.testing.assert_close(got, want, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("backend", ["", "aot_eager"], ids=["eager", "compiled"])
def test_a_transformer_trains_as_with_torch(backend: str) -> None:
    mine, wanted = (training.train(F, 12, backend) for F in (ours, theirs))
    assert training.difference(mine, wanted) < training.ALLOWED
    assert mine[-1] < mine[0]
