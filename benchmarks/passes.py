"""What each pass of codegen brings: kernels made with all passes and without each, in turn, on the same arrays."""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.timing import interleave, median_ratio
from codegen.passes import OPTIONAL
from codegen.source import sources
from derive.engine import derive
from derive.layers import layer as layer_named

ROWS, TOKENS = (2048, 2048), (512, 8192)
SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "softmax": (ROWS,),
    "layer_norm": (ROWS, ROWS[1:], ROWS[1:], ()),
    "rms_norm": (ROWS, ROWS[1:], ()),
    "mse": (ROWS, ROWS),
    "attention": ((1, 4, 1024, 64),) * 3,
    "attention_causal": ((1, 1, 2048, 64),) * 3,
    "cross_entropy_labels": (TOKENS, TOKENS[:1]),
    "linear_cross_entropy": ((512, 64), (64, 8192), (512,)),
}
"""Layer -> the shapes of its arguments."""
ALL = "all passes"
ALLOCATIONS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""What a process that measures memory is started with: what a call has freed goes back to the system, so that it counts for the next."""


def _run(name: str, target: str, path: Path) -> Callable[[], object]:
    """One forward and backward pass of the module in a file, in float32."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    random, layer = np.random.default_rng(0), layer_named(name)
    arrays: list[Any] = []
    for argument, shape in zip(layer.inputs, SHAPES[name]):
        labels = layer.tensor(argument).kind == "int"
        arrays.append(random.integers(0, TOKENS[1], shape) if labels else random.random(shape, np.float32) + np.float32(0.1))
    if target == "numpy":

        def run() -> object:
            value, saved = module.forward(*arrays)
            return module.backward(np.ones_like(value), saved)

        return run
    import torch

    tensors = [torch.as_tensor(array) for array in arrays]
    moving = [tensor.requires_grad_() for argument, tensor in zip(layer.inputs, tensors) if argument in layer.wrt]
    function = getattr(module, name)

    def differentiate() -> object:
        value = function(*tensors)
        return torch.autograd.grad(value, moving, torch.ones_like(value))

    return differentiate


def _modules(name: str, target: str, folder: Path) -> dict[str, Path]:
    """The files of a layer's kernels: with all passes, and without each pass that changes it."""
    derivation, found = derive(layer_named(name)), {}
    full = sources(derivation, (target,))[target]
    for without in (ALL, *OPTIONAL):
        text = full if without == ALL else sources(derivation, (target,), (without,))[target]
        if without == ALL or text != full:
            found[without] = folder / f"{name}_{target}_{without.partition(' ')[0]}.py"
            found[without].write_text(text, encoding="utf-8")
    return found


def compared(name: str, target: str, folder: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Pass -> how many times as long, and as much memory, a kernel takes that was made without it; and the milliseconds and megabytes
    of the one with all passes."""
    paths = _modules(name, target, folder)
    times = interleave({each: _run(name, target, path) for each, path in paths.items()}, rounds, f"{name}, {target}")
    peaks = _peaks(name, target, paths)
    found = {each: (1 / median_ratio(times[each], times[ALL]), peaks[each] / peaks[ALL]) for each in paths if each != ALL}
    return {ALL: (1000 * statistics.median(times[ALL]), peaks[ALL] / 1024), **found}


def _peaks(name: str, target: str, paths: dict[str, Path]) -> dict[str, float]:
    """Pass -> the kilobytes that a call adds at its peak, in a process that does nothing else."""
    code = "import sys; from benchmarks.passes import peaks; peaks(*sys.argv[1:])"
    asked = [sys.executable, "-c", code, name, target, json.dumps({each: str(path) for each, path in paths.items()})]
    done = subprocess.run(asked, check=True, capture_output=True, text=True, env={**os.environ, **ALLOCATIONS})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peaks(name: str, target: str, paths: str) -> None:
    """Print them, as JSON."""
    found = {}
    for each, path in json.loads(paths).items():
        run = _run(name, target, Path(path))
        run()  # the first call starts what later ones find started
        found[each] = added(run)
    print(json.dumps(found))


def table(console: Console, layer: str | None, targets: Iterable[str], rounds: int, page: Path | None = None, command: str = "") -> None:
    """Print, for each target, a line a pass and a column a layer: the time and the peak memory without the pass over those with all.

    The same goes to the `page`, as Markdown, if one is named.
    """
    text = ["# What each pass brings", "", f"Written by `{command}`.", ""]
    names = [name for name in SHAPES if layer in (None, name)]
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            watched = track(names, description=target, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
            found = {name: compared(name, target, Path(folder), rounds) for name in watched}
        lines = [[f"{ALL}: ms, MB", *(f"{ms:.0f}, {mb:.0f}" for ms, mb in (found[name][ALL] for name in names))]]
        for each in OPTIONAL:
            ratios = [found[name].get(each) for name in names]
            if any(ratios):
                lines.append([each, *(f"{pair[0]:.2f}, {pair[1]:.1f}" if pair else "" for pair in ratios)])
        title = f"{target}, float32, forward and backward: without a pass, times as long, times the peak memory"
        heads = ["without", *(f"`{name}`" for name in names)]
        rows = (heads, ["---", *(["---:"] * len(names))], *lines)
        text += [f"{title}:", "", *(f"| {' | '.join(cells)} |" for cells in rows), ""]
        printed = Table(title=title)
        for name in ("without", *names):
            printed.add_column(name, justify="left" if name == "without" else "right", overflow="fold")
        for cells in lines:
            printed.add_row(*cells)
        console.print(printed)
    if page is not None:
        page.write_text("\n".join(text), encoding="utf-8")


def added(run: Callable[[], object]) -> float:
    """Kilobytes that a call adds to its process at its peak. Linux counts them."""
    # The highest memory so far is that of the imports, or of another call; 5 starts it anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
