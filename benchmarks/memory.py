"""Peak memory of one forward and backward pass, each measured in a process of its own. Linux counts it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.progress import Progress

from benchmarks.contestants import EVERY
from benchmarks.machine import equal_threads
from benchmarks.measure import _available
from benchmarks.rows import Row, resized, rows, values

LAYERS = ("linear_cross_entropy", "attention", "attention_causal", "cross_entropy_labels", "softmax", "layer_norm", "mlp_gelu")
CONTESTANTS = ("ours NumPy", "ours torch", "by hand NumPy", "eager", "plain", "compile", "JAX")
FAILED = "failed"


def memory_rows(layer: str | None = None) -> tuple[Row, ...]:
    """The large rows whose memory is measured."""
    return tuple(row for row in rows("large") if row.layer in LAYERS and layer in (None, row.layer, row.name))


def peaks(layer: str | None, names: Iterable[str], progress: Progress | None = None) -> dict[str, dict[str, float | str]]:
    """Row -> contestant -> megabytes that the passes add at their peak, or why it is not known."""
    kept = [name for name in CONTESTANTS if name in set(names)]
    chosen = memory_rows(layer)
    task = progress.add_task("", total=len(chosen) * len(kept)) if progress else None
    found: dict[str, dict[str, float | str]] = {}
    for row in chosen:
        for name in kept:
            if progress and task is not None:
                progress.update(task, description=f"memory of {row.name}, {name}", advance=1)
            if name == "plain" and not row.attends:
                continue
            found.setdefault(row.key, {})[name] = peak(row.key, name)
    return found


def peak(key: str, contestant: str, length: int = 0) -> float | str:
    """Megabytes that a row's forward and backward pass adds to a fresh process at its peak; what went wrong where it does not run. With
    a length, the row is `resized` to it."""
    code = "import sys; from benchmarks.memory import added; print(added(*sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, key, contestant, str(length)], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return f"{FAILED}: {said[-1][:100] if said else f'ended by signal {-done.returncode}'}"
    return float(done.stdout.split()[-1])


def added(key: str, contestant: str, length: str = "0") -> float:
    """The same, in this process: its highest memory during a call, above what it has before."""
    import resource

    equal_threads()
    row = next(row for size in ("large", "mid", "small") for row in rows(size) if row.key == key)
    if int(length):
        row = resized(row, int(length))
    free = _available()
    if free != float("inf"):
        # An array too many is an error of this process, not the end of another.
        resource.setrlimit(resource.RLIMIT_DATA, (int(0.85 * free), resource.getrlimit(resource.RLIMIT_DATA)[1]))
    # What a first call sets up once, such as threads and compiled code, is not the pass's.
    small = next(each for each in rows("small") if each.layer == row.layer)
    if contestant not in ("compile", "JAX"):
        EVERY[contestant](small, values(small))()
    run = EVERY[contestant](row, values(row))
    if contestant in ("compile", "JAX"):
        run()
    gc.collect()
    # The highest memory so far was that of the imports; 5 starts it anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _status("VmRSS")
    kept = run()
    found = (_status("VmHWM") - before) / 1024
    del kept
    return found


def _status(field: str) -> int:
    """Kilobytes, as the system counts them for this process."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))
