"""What each pass of codegen brings: NumPy kernels made with it and without it, in turn, on the same arrays."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.timing import interleave, median_ratio
from codegen.passes import OPTIONAL
from codegen.source import sources
from derive.engine import derive
from derive.layers import layer as layer_named

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "softmax": ((1024, 1024),),
    "layer_norm": ((1024, 1024), (1024,), (1024,), ()),
    "mse": ((1024, 1024), (1024, 1024)),
    "attention": ((1, 2, 1024, 32),) * 3,
}


def _module(source: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(console: Console, rounds: int = 3) -> None:
    """Print, for each layer and pass left out, the time and the peak memory without it over those with it."""
    printed = Table(title="Without a pass: times as long (times the peak memory), forward and backward, NumPy, float32")
    for name in ("layer", *OPTIONAL):
        printed.add_column(name, justify="left" if name == "layer" else "right")
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, shapes in SHAPES.items():
            derivation = derive(layer_named(name))
            arrays = [np.abs(random.standard_normal(shape, dtype=np.float32)) + 0.1 for shape in shapes]
            runs = {}
            for without in ("", *OPTIONAL):
                source = sources(derivation, ("numpy",), (without,) if without else ())["numpy"]
                runs[without or "all"] = _run(_module(source, Path(folder), f"{name}_{without or 'all'}"), arrays)
            times = interleave(runs, rounds, name)
            peaks = {key: _peak(run) for key, run in runs.items()}
            cells = [f"{1 / median_ratio(times[p], times['all']):.2f} ({peaks[p] / peaks['all']:.2f})" for p in OPTIONAL]
            printed.add_row(f"{name}, {1000 * statistics.median(times['all']):.0f} ms", *cells)
    console.print(printed)


def _run(module: ModuleType, arrays: list[Any]) -> Any:
    def run() -> object:
        value, saved = module.forward(*arrays)
        return module.backward(np.ones_like(value), saved)

    return run


def _peak(run: Any) -> int:
    tracemalloc.start()
    run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found
