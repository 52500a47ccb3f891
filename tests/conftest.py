"""Two test processes share the machine: each gets one thread for its arithmetic, and seldom looks for cycles in what it keeps."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What was imported stays, and derivations are large, are kept, and have no cycles: collecting took a seventh of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
