"""The NumPy contestants once more, in a child process in which OpenBLAS chooses its kernels the other way: pinned, or by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from benchmarks.machine import VARIABLE, equal_threads
from benchmarks.measure import everyone
from benchmarks.rows import Row, chosen

PINNED = "Haswell"
CONTESTANTS = ("ours NumPy", "by hand NumPy", "eager")


def measured(rows: Iterable[Row], quick: bool) -> dict[str, Any]:
    """The child's rows, as JSON has them, and a title; `failed` and the reason where it does not run."""
    environment = dict(os.environ)
    if VARIABLE in environment:
        del environment[VARIABLE]
        title = f"The same with {VARIABLE} unset, in a child process"
    else:
        environment[VARIABLE] = PINNED
        title = f"The same with {VARIABLE}={PINNED}, in a child process"
    words = [sys.executable, "-m", "benchmarks.other_blas", json.dumps([row.key for row in rows]), "quick" if quick else "full"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"title": title, "failed": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else str(done.returncode)}
    return {"title": title, "pinned": VARIABLE in environment, "rows": json.loads(done.stdout)}


def main(arguments: list[str]) -> int:
    """Measure the rows of these keys and print them as JSON."""
    equal_threads()
    keys, quick = json.loads(arguments[0]), arguments[1] == "quick"
    found = []
    for result in everyone([row for row in chosen() if row.key in keys], CONTESTANTS, quick):
        ratio = result.ratio("ours NumPy", "eager") if {"ours NumPy", "eager"} <= set(result.seconds) else None
        found.append({**result.json(), "ratio to eager": ratio})
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
