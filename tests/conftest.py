"""Two test processes share the machine: each gets one thread for its arithmetic."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
