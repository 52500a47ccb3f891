"""Layers composed into one: the same gradients as equations written out by hand, shared weights, and what cannot be composed."""

from __future__ import annotations

import pytest
import torch
from reference import Env, inputs_of, run, sizes_of

from derive import SpecError, compose, derive, wire
from derive.layers.attention import ATTENTION
from derive.layers.cross_entropy import CROSS_ENTROPY, CROSS_ENTROPY_LABELS
from derive.layers.linear import LINEAR
from derive.layers.softmax import SOFTMAX
from derive.layers.squared_error import MSE
from derive.spec import Layer

RELU = Layer.parse("relu", "Y[i,j] = relu(X[i,j])")
CELL = Layer.parse("cell", "Y[i,j] = tanh(sum(k, X[i,k]*W[k,j]) + sum(l, H[i,l]*U[l,j]) + b[j])")
NORM = Layer.parse("norm", "Y[n,c] = X[n,c]/sqrt(sum(k, X[n,k]^2)/size(c) + 1/100000)")
ADD = Layer.parse("add", "Y[i,j] = A[i,j] + B[i,j]")

THREE_LAYERS = compose(
    "three_layers",
    {
        "1": wire(LINEAR, X="X", Y="Z_1"),
        "a": wire(RELU, X="Z_1", Y="H_1"),
        "2": wire(LINEAR, X="H_1", Y="Z_2"),
        "b": wire(RELU, X="Z_2", Y="H_2"),
        "3": wire(LINEAR, X="H_2", Y="Y"),
    },
)
BY_HAND = Layer.parse(
    "by_hand",
    """
    Z_1[i,h] = sum(k, X[i,k]*W_1[k,h]) + b_1[h]
    H_1[i,h] = relu(Z_1[i,h])
    Z_2[i,l] = sum(h, H_1[i,h]*W_2[h,l]) + b_2[l]
    H_2[i,l] = relu(Z_2[i,l])
    Y[i,j] = sum(l, H_2[i,l]*W_3[l,j]) + b_3[j]
    """,
)
SEQUENCE = compose(
    "sequence", {str(t): wire(CELL, X=f"X_{t}", H=f"H_{t - 1}", W="W", U="U", b="b", Y=f"H_{t}") for t in (1, 2, 3)}, outputs=("H_1", "H_3")
)
BLOCK = compose(
    "block",
    {
        "norm": wire(NORM, X="X", Y="A"),
        "q": wire(LINEAR, X="A", Y="Q"),
        "k": wire(LINEAR, X="A", Y="K"),
        "sum": wire(ADD, A="Q", B="K", Y="M"),
        "out": wire(LINEAR, X="M", Y="O"),
        "residual": wire(ADD, A="X", B="O", Y="Y"),
    },
)
LOSS = compose("loss", {"linear": wire(LINEAR, Y="Z"), "cross_entropy": wire(CROSS_ENTROPY, Z="Z")})
COMPOSED = pytest.mark.parametrize("layer", [THREE_LAYERS, SEQUENCE, BLOCK, LOSS], ids=lambda layer: layer.name)


def gradients(layer: Layer, env: Env, sizes: dict[str, int]) -> Env:
    """Of the sum of the outputs, by what was derived."""
    derivation = derive(layer)
    values = run(derivation.forward, {name: tensor.detach() for name, tensor in env.items()}, sizes)
    values.update({f"d{name}": torch.ones_like(values[name]) for name in layer.outputs})
    values = run(derivation.backward, values, sizes)
    return {name: values[f"d{name}"] for name in layer.wrt}


@COMPOSED
def test_gradients_equal_autograd(layer: Layer) -> None:
    sizes = sizes_of(layer)
    env = inputs_of(layer, sizes, seed=3)
    reference = run(layer.equations, env, sizes)
    loss = sum(reference[name].sum() for name in layer.outputs)
    wanted = torch.autograd.grad(loss, [env[name] for name in layer.wrt])  # type: ignore[arg-type]
    for (name, ours), gradient in zip(gradients(layer, env, sizes).items(), wanted):
        torch.testing.assert_close(ours, gradient, rtol=1e-10, atol=1e-10, msg=name)


@COMPOSED
def test_a_composed_layer_is_an_ordinary_layer(layer: Layer) -> None:
    again = Layer.parse(layer.name, layer.text(), doc=layer.doc)
    assert again == layer
    assert derive(layer).check().ok


def test_composing_equals_writing_the_equations_out() -> None:
    assert THREE_LAYERS.inputs == ("X", "W_1", "b_1", "W_2", "b_2", "W_3", "b_3") == BY_HAND.inputs
    sizes = sizes_of(BY_HAND)
    env = inputs_of(BY_HAND, sizes, seed=4)
    lengths = {axis: sizes[dim] for a, b in zip(THREE_LAYERS.tensors, BY_HAND.tensors) for axis, dim in zip(a.dims, b.dims)}
    by_hand = gradients(BY_HAND, env, sizes)
    for name, ours in gradients(THREE_LAYERS, env, lengths).items():
        assert torch.equal(ours, by_hand[name]), name


def test_the_proof_is_a_chain_of_lemmas() -> None:
    derivation = derive(THREE_LAYERS)
    expected = ["db_3", "dW_3", "dH_2", "dZ_2", "db_2", "dW_2", "dH_1", "dZ_1", "dX", "db_1", "dW_1"]
    assert sorted(proof.name for proof in derivation.lemmas) == sorted(expected)
    assert [proof.goal.target.tensor for proof in derivation.theorems] == ["dX", "dW_1", "db_1", "dW_2", "db_2"]
    dz = next(str(proof.result) for proof in derivation.lemmas if proof.name == "dZ_1")
    assert "dH_1" in dz and "dY" not in dz


def test_the_gradients_of_a_shared_weight_add() -> None:
    assert SEQUENCE.inputs == ("X_1", "W", "H_0", "U", "b", "X_2", "X_3")

    def shared(name: str) -> str:
        return name if name in SEQUENCE.inputs else name[0]

    sizes = sizes_of(SEQUENCE)
    env = inputs_of(SEQUENCE, sizes, seed=5)
    apart = compose(
        "apart",
        {str(t): wire(CELL, X=f"X_{t}", H=f"H_{t - 1}", W=f"W_{t}", U=f"U_{t}", b=f"b_{t}", Y=f"H_{t}") for t in (1, 2, 3)},
        outputs=("H_1", "H_3"),
    )
    lengths = {
        dim: size
        for tensor in apart.tensors
        if tensor.name in apart.inputs
        for dim, size in zip(tensor.dims, env[shared(tensor.name)].shape)
    }
    own = {name: env[shared(name)] for name in apart.inputs}
    separate = gradients(apart, own, lengths)
    together = gradients(SEQUENCE, env, sizes)
    for name in ("W", "U", "b"):
        torch.testing.assert_close(together[name], sum(separate[f"{name}_{t}"] for t in (1, 2, 3)), rtol=1e-12, atol=1e-12)


def test_axes_are_joined_through_shared_tensors() -> None:
    assert [tensor.dims for tensor in LOSS.tensors if tensor.name in ("X", "W", "Z", "T")] == [
        ("B", "N"),
        ("N", "M"),
        ("B", "M"),
        ("B", "M"),
    ]
    names = {index.name: index.dim for equation in THREE_LAYERS.equations for index in equation.target.indices}  # type: ignore[union-attr]
    assert len(set(names.values())) == 4


def test_parts_may_stand_in_any_order() -> None:
    parts = {"loss": wire(CROSS_ENTROPY_LABELS, Z="Z"), "linear": wire(LINEAR, Y="Z")}
    layer = compose("net", parts)
    assert [equation.target.tensor for equation in layer.equations] == ["Z", "P", "L"]
    assert layer.outputs == ("L",)
    assert layer.wrt == ("X", "W", "b")


def test_a_fact_about_what_a_part_computes_is_not_assumed() -> None:
    assert len(LOSS.facts) == 1
    teacher = compose("teacher", {"soft": wire(SOFTMAX, S="U", P="T"), "loss": wire(CROSS_ENTROPY, T="T", P="R")})
    assert teacher.facts == ()
    assert teacher.wrt == ("U", "Z")


def test_the_batch_is_kept_where_every_part_has_it() -> None:
    double = compose("double", {"1": wire(ATTENTION, O="X"), "2": wire(ATTENTION, Q="X")})
    assert [index.name for index in double.batch] == ["b", "h"]
    assert compose("pair", {"1": wire(LINEAR, Y="Z"), "2": wire(SOFTMAX, S="Z")}).batch == ()


MISTAKES = {
    "cycle": (
        {"a": wire(RELU, X="U", Y="V"), "b": wire(RELU, X="V", Y="U")},
        "net: the parts form a cycle, a -> b -> a; what a part computes cannot reach its own inputs",
    ),
    "long_cycle": (
        {
            "in": wire(RELU, Y="X_0"),
            "a": wire(ADD, A="X_0", B="X_3", Y="X_1"),
            "b": wire(RELU, X="X_1", Y="X_2"),
            "c": wire(RELU, X="X_2", Y="X_3"),
        },
        "net: the parts form a cycle, a -> b -> c -> a",
    ),
    "self": ({"a": wire(RELU, X="U", Y="U")}, "net: the parts form a cycle, a -> a"),
    "rank": (
        {"lin": wire(LINEAR, Y="Z"), "att": wire(ATTENTION, Q="Z")},
        "net: Z is Y[B,M] of lin (linear) and Q[B,H,N,d_k] of att (attention), which cannot be one tensor; name one of them otherwise",
    ),
    "kind": (
        {"lin": wire(LINEAR, b="y"), "loss": wire(CROSS_ENTROPY_LABELS, y="y")},
        "net: y is b[M] of lin (linear) and y[B]:int of loss (cross_entropy_labels), which cannot be one tensor",
    ),
    "twice": (
        {"a": wire(RELU, X="U", Y="Y"), "b": wire(RELU, X="V", Y="Y")},
        "net: Y is computed by a and by b; give one of them another name",
    ),
    "own_name": (
        {"linear": wire(LINEAR, Y="Z"), "loss": CROSS_ENTROPY},
        "net: linear names a tensor Z, and loss (cross_entropy) has one of its own; to join them write wire(..., Z='Z')",
    ),
    "nothing": ({}, "net: there is no part to compose"),
    "label": ({"a b": RELU}, "net: 'a b' cannot be the label of a part; write letters, digits and _"),
    "gradient_name": ({"a": wire(RELU, X="dY", Y="Y")}, "dY is the name that the gradient of Y gets"),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_each_mistake_has_its_message(mistake: str) -> None:
    parts, message = MISTAKES[mistake]
    with pytest.raises(SpecError) as caught:
        compose("net", parts)
    assert message in str(caught.value)


def test_mistakes_in_names_and_in_outputs_have_their_messages() -> None:
    with pytest.raises(SpecError, match="linear: there is no tensor x; did you mean X"):
        wire(LINEAR, x="H")
    with pytest.raises(SpecError, match="linear: 'a b' cannot be the name of X"):
        wire(LINEAR, X="a b")
    with pytest.raises(SpecError, match="net: the output Q is defined by no part; defined are L and Z"):
        compose("net", {"a": wire(RELU, Y="Z"), "b": wire(MSE, Y="Z")}, outputs="Q")
    with pytest.raises(SpecError, match="Z is computed by an equation"):
        compose("net", {"a": wire(RELU, Y="Z"), "b": wire(MSE, Y="Z")}, wrt="Z")


def test_deriving_takes_time_in_proportion_to_depth() -> None:
    """Counted in calls, not in seconds: the work per block stays the same."""
    import cProfile
    import pstats

    def calls(depth: int) -> int:
        parts = {str(n): wire(CELL, X="X", H=f"H_{n}", W=f"W_{n}", U=f"U_{n}", b=f"b_{n}", Y=f"H_{n + 1}") for n in range(depth)}
        layer = compose("deep", parts)
        profile = cProfile.Profile()
        profile.runcall(derive, layer)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(4)
    assert calls(40) <= 2.4 * calls(20)
