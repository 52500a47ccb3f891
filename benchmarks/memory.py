"""Peak memory of one forward and backward pass, each measured in a process of its own. Linux counts it."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.contestants import EVERY
from benchmarks.goals import MEMORY
from benchmarks.machine import equal_threads
from benchmarks.measure import _available
from benchmarks.rows import Row, resized, rows, values

CONTESTANTS = ("ours NumPy", "ours torch", "by hand NumPy", "eager", "plain", "compile", "JAX")
FEWER = ("ours NumPy", "ours torch", "by hand NumPy", "eager")
"""Those of a row whose memory has no goal."""
FAILED = "failed"


def memory_rows(layer: str | None = None) -> tuple[Row, ...]:
    """The large rows."""
    return tuple(row for row in rows("large") if layer in (None, row.layer, row.name))


def peaks(row: Row, names: Iterable[str]) -> dict[str, float | str]:
    """Contestant -> megabytes that the passes add at their peak, or why it is not known."""
    asked = set(names)
    kept = [name for name in (CONTESTANTS if row.layer in MEMORY else FEWER) if name in asked and (row.attends or name != "plain")]
    return {name: peak(row.key, name) for name in kept}


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
    run = EVERY[contestant](row, values(row))
    run()  # what a first call sets up once, such as threads and code that is compiled for these shapes, is not the pass's
    before = _settled()
    kept = run()
    found = (_status("VmHWM") - before) / 1024
    del kept
    return found


def _settled() -> int:
    """Kilobytes that the process has when all it has freed is given back: what a call takes of memory that was freed and kept would not
    be counted as added by it. The highest memory counts from here."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    # The highest memory so far was that of the imports; 5 starts it anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _status("VmRSS")


def _status(field: str) -> int:
    """Kilobytes, as the system counts them for this process."""
    lines = Path(f"/proc/{os.getpid()}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def held(key: str, contestant: str) -> dict[str, float]:
    """Megabytes of what a kernel of ours holds, measured in a fresh process: the peaks of both passes above what there was before, and the
    arrays among them that are its results or are saved. Raises RuntimeError with what the process said where it does not run."""
    code = "import json, sys; from benchmarks.memory import holding; print(json.dumps(holding(*sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, key, contestant], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.splitlines()[-1:]))
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def holding(key: str, contestant: str) -> dict[str, float]:
    """The same, in this process."""
    equal_threads()
    row = next(row for size in ("large", "mid", "small") for row in rows(size) if row.key == key)
    small = next(each for each in rows("small") if each.layer == row.layer)
    target = {"ours NumPy": "numpy", "ours torch": "torch"}[contestant]
    module = importlib.import_module(f"generated.{target}.{row.layer}")

    def given(row: Row) -> tuple[list[Any], Any]:
        every = values(row)
        if target == "torch":
            torch = importlib.import_module("torch")
            every = {name: torch.from_numpy(value) for name, value in every.items()}
        return [every[name] for name in row.shapes], every["upstream"]

    arguments, upstream = given(small)
    module.backward(upstream, module.forward(*arguments)[1])
    arguments, upstream = given(row)
    before = _settled()
    value, saved = module.forward(*arguments)
    forward, kept = _status("VmHWM") - before, _status("VmRSS") - before
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    gradients = module.backward(upstream, saved)
    backward = _status("VmHWM") - before
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    known = {id(each) for each in (*arguments, upstream)}
    results = _megabytes([value, *gradients], known)
    return {
        "forward": forward / 1024,
        "between": kept / 1024,
        "backward": backward / 1024,
        "results": results,
        "saved": _megabytes(list(saved), known | {id(each) for each in (value, *gradients)}),
    }


def _megabytes(arrays: list[Any], known: set[int]) -> float:
    """Of those that are not known, each once."""
    kept = {id(each): each for each in arrays if hasattr(each, "nbytes") and id(each) not in known}
    return float(sum(each.nbytes for each in kept.values())) / 2**20
