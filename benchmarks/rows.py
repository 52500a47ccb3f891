"""The rows of the benchmark: a layer of the catalogue, a size, and the shapes of its inputs. Nothing is timed here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

Shapes = dict[str, tuple[int, ...]]
SIZES = ("small", "mid", "large")
ATTENTION = ("attention", "attention_causal")
EPS = 1e-5


@dataclass(frozen=True)
class Row:
    """A layer at one size. `shapes` are its inputs in the order of the kernels' arguments; `labels` is how many classes `y` counts."""

    name: str
    layer: str
    size: str
    shapes: Shapes
    wrt: tuple[str, ...]
    labels: int = 0

    @property
    def key(self) -> str:
        """What it is called in tables and in JSON."""
        return f"{self.name}, {self.size}"

    @property
    def attends(self) -> bool:
        return self.layer in ATTENTION

    @property
    def entries(self) -> int:
        """How many numbers the largest input has."""
        found = 0
        for shape in self.shapes.values():
            count = 1
            for length in shape:
                count *= length
            found = max(found, count)
        return found


def rows(size: str) -> tuple[Row, ...]:
    """The rows of one size."""
    n, c = {"small": (32, 64), "mid": (512, 1024), "large": (4096, 4096)}[size]
    b, k, m = {"small": (32, 64, 64), "mid": (256, 512, 512), "large": (512, 1024, 1024)}[size]
    gelu, swiglu = {"small": (128, 96), "mid": (1024, 684), "large": (4096, 2736)}[size]
    tokens, width, vocabulary = {"small": (32, 64, 128), "mid": (512, 256, 8192), "large": (4096, 768, 50257)}[size]
    heads = {"small": (1, 1, 32, 16), "mid": (1, 4, 512, 64), "large": (2, 8, 2048, 64)}[size]
    matrix: Shapes = {"X": (n, c)}
    attention: Shapes = dict.fromkeys("QKV", heads)
    gelu_shapes: Shapes = {"X": (b, k), "W_1": (k, gelu), "b_1": (gelu,), "W_2": (gelu, k), "b_2": (k,)}
    swiglu_shapes: Shapes = {"X": (b, k), "W_g": (k, swiglu), "W_u": (k, swiglu), "W_o": (swiglu, k)}
    fused: Shapes = {"X": (tokens, width), "W": (width, vocabulary), "y": (tokens,)}
    found = [
        Row("linear", "linear", size, {"X": (b, k), "W": (k, m), "b": (m,)}, ("X", "W", "b")),
        Row("GELU MLP", "mlp_gelu", size, gelu_shapes, tuple(gelu_shapes)),
        Row("SwiGLU MLP", "mlp_swiglu", size, swiglu_shapes, tuple(swiglu_shapes)),
        Row("linear + cross-entropy", "linear_cross_entropy", size, fused, ("X", "W"), vocabulary),
        Row(f"attention T{heads[2]}", "attention", size, attention, ("Q", "K", "V")),
        Row(f"causal attention T{heads[2]}", "attention_causal", size, attention, ("Q", "K", "V")),
    ]
    if size == "large":
        found.append(Row("attention T8192", "attention", size, dict.fromkeys("QKV", (1, 8, 8192, 64)), ("Q", "K", "V")))
    found += [
        Row("cross-entropy", "cross_entropy_labels", size, {"Z": (tokens, vocabulary), "y": (tokens,)}, ("Z",), vocabulary),
        Row("softmax", "softmax", size, {"S": (n, c)}, ("S",)),
        Row("LayerNorm", "layer_norm", size, {**matrix, "g": (c,), "b": (c,), "eps": ()}, ("X", "g", "b")),
        Row("RMSNorm", "rms_norm", size, {**matrix, "g": (c,), "eps": ()}, ("X", "g")),
        Row("MSE", "mse", size, {"Y": (n, c), "T": (n, c)}, ("Y",)),
    ]
    return tuple(found)


QUICK_MID = ("linear", "softmax", "LayerNorm", "cross-entropy")
"""The rows of the middle size that a quick run has beside all small ones."""


def chosen(layer: str | None = None, size: str | None = None, quick: bool = False) -> tuple[Row, ...]:
    """The rows that are asked for, large ones first. Raises ValueError for a layer that has no row, which names those that have."""
    every = [row for each in reversed(SIZES) for row in rows(each)]
    if layer is not None and layer not in {word for row in every for word in (row.layer, row.name)}:
        names = ", ".join(dict.fromkeys(row.layer for row in every))
        raise ValueError(f"no row of the benchmark is called {layer}; write one of {names}")
    kept = [row for row in every if layer is None or layer in (row.layer, row.name)]
    if size is not None:
        kept = [row for row in kept if row.size == size]
    elif quick:
        kept = [row for row in kept if row.size == "small" or (row.size == "mid" and row.name in QUICK_MID)]
    return tuple(kept)


def resized(row: Row, length: int) -> Row:
    """Attention over sequences of that length, with at most four heads, or a loss of 4096 tokens, 128 wide, over that vocabulary."""
    if row.attends:
        heads = row.shapes["Q"]
        shapes: Shapes = dict.fromkeys(row.shapes, (1, min(heads[1], 4), length, heads[3]))
        return replace(row, name=f"{row.layer} T{length}", shapes=shapes)
    tokens, width, first = 4096, 128, next(iter(row.shapes))
    lengths = {row.shapes[first][-1]: width, row.labels: length}
    shapes = {name: tuple(lengths.get(n, n) for n in shape) for name, shape in row.shapes.items()}
    shapes["y"], shapes[first] = (tokens,), (tokens, *shapes[first][1:])
    return replace(row, name=f"{row.name} V{length}", shapes=shapes, labels=length)


def values(row: Row) -> dict[str, Any]:
    """The row's inputs as NumPy arrays of float32, the same in every process, and `upstream`, the gradient of its output."""
    import numpy as np

    random = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for name, shape in row.shapes.items():
        if name == "eps":
            found[name] = np.asarray(EPS, np.float32)
        elif name == "y" and row.labels:
            found[name] = random.integers(0, row.labels, shape)
        else:
            scale = shape[0] ** -0.5 if name.startswith("W") else 1.0  # keeps the activations near 1
            found[name] = scale * random.standard_normal(shape, dtype=np.float32)
    shape = output_shape(row)
    found["upstream"] = random.standard_normal(shape, dtype=np.float32) if shape else np.ones((), np.float32)
    return found


def output_shape(row: Row) -> tuple[int, ...]:
    """The shape of the row's output: a loss is a scalar, a norm or attention is as its first input, a network of rows ends in its last
    matrix's columns."""
    if row.labels or row.layer == "mse":
        return ()
    first = next(iter(row.shapes.values()))
    matrices = [shape for name, shape in row.shapes.items() if name.startswith("W")]
    return (first[0], matrices[-1][1]) if matrices else first
