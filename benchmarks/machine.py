"""The machine: how many threads, which BLAS, and how fast it multiplies matrices and moves memory, as measured here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

VARIABLE = "OPENBLAS_CORETYPE"
"""Chooses OpenBLAS's kernels by hand; some machines have it in the environment. Nothing here but a child process changes it."""
PACKAGES = ("numpy", "torch", "jax", "autograd", "pytensor", "tensorgrad", "scipy", "threadpoolctl")


@dataclass(frozen=True)
class Machine:
    """`gemm` are GFLOP/s of a float32 product of square matrices by library; `memory` GB/s of a copy, what is read and what is written;
    `load` what else the machine was doing, the mean number of threads that ran or waited to."""

    processor: str
    threads: int
    python: str
    versions: dict[str, str]
    blas: str
    coretype: str | None
    gemm: dict[str, float]
    memory: dict[str, float]
    order: int
    load: float = 0.0

    @property
    def best_gemm(self) -> float:
        return max(self.gemm.values())

    @property
    def best_memory(self) -> float:
        return max(self.memory.values())

    @property
    def busy(self) -> bool:
        """Whether something else took more than half a processor: what waits for a thread that has none takes many times as long."""
        return self.load > 0.5

    @property
    def pinned(self) -> bool:
        """Whether OpenBLAS was told which kernels to use."""
        return self.coretype is not None

    def lines(self) -> list[str]:
        """What is printed above the table."""
        have = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        chosen = f"{VARIABLE}={self.coretype}" if self.pinned else f"{VARIABLE} is not set"
        return [
            f"{self.processor}, {self.threads} threads for every contestant, Python {self.python}, {have}",
            f"NumPy's BLAS: {self.blas}; {chosen}",
            f"limits measured here: float32 product of {self.order} x {self.order}: "
            + ", ".join(f"{name} {rate:.0f}" for name, rate in self.gemm.items())
            + " GFLOP/s; copy of a large array: "
            + ", ".join(f"{name} {rate:.0f}" for name, rate in self.memory.items())
            + " GB/s",
            *(
                [f"others were at work: a load of {self.load:.1f} before the first measurement, and all of this with it"]
                if self.busy
                else []
            ),
        ]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def threads() -> int:
    """How many processors this process may use: what every contestant gets."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def equal_threads() -> None:
    """Give OpenBLAS and torch as many threads as JAX takes by itself, whatever variables say."""
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads())
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(threads())


def best(run: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of some runs, after one to warm up."""
    run()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def measured(order: int = 2048) -> Machine:
    """Measure the limits with products of that order; a second or two."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    a, b = (np.full((order, order), 1.0, np.float32) for _ in range(2))
    c, big = np.empty_like(a), np.ones(32 << 20, np.float32)
    out = np.empty_like(big)
    work, moved = 2e-9 * order**3, 2e-9 * big.nbytes
    gemm = {"NumPy": work / best(lambda: np.matmul(a, b, out=c))}
    memory = {"NumPy": moved / best(lambda: np.copyto(out, big))}
    try:
        import torch

        x, y, z = (torch.from_numpy(array) for array in (a, b, c))
        gemm["torch"] = work / best(lambda: torch.mm(x, y, out=z))
        rows, columns = x.view(1, order, 1, order).permute(0, 3, 1, 2), y.T[:, :, None, None]
        gemm["torch through oneDNN"] = work / best(lambda: torch.conv2d(rows, columns))
        target, source = torch.from_numpy(out), torch.from_numpy(big)
        memory["torch"] = moved / best(lambda: target.copy_(source))
    except ImportError:
        pass
    try:
        import jax

        multiply = jax.jit(lambda p, q: p @ q)
        left, right = jax.numpy.asarray(a), jax.numpy.asarray(b)
        gemm["JAX"] = work / best(lambda: jax.block_until_ready(multiply(left, right)))
    except ImportError:
        pass
    return Machine(
        _processor(), threads(), platform.python_version(), _versions(), _blas(), os.environ.get(VARIABLE), gemm, memory, order, load
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _blas() -> str:
    """What threadpoolctl says of the BLAS that NumPy loaded."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown, as threadpoolctl is not installed"
    said = [
        f"{info['internal_api']} {info['version']}, {info.get('architecture', 'unknown')} kernels, {info['num_threads']} threads"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]
    return "; ".join(dict.fromkeys(said)) or "not one that threadpoolctl knows"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
