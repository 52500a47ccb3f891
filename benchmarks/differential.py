"""The differential view of every layer: does it end where the index view does, and does every line of it hold?

python -m benchmarks.differential [NAME ...]
"""

from __future__ import annotations

import sys
import time

from derive import derive
from derive.differential import differential_view
from derive.layers import LAYERS, layer


def main(words: list[str]) -> int:
    layers = tuple(layer(word) for word in words) or LAYERS
    good = gradients = proved = lines = 0
    print(f"{'layer':34} {'gradients':>9} {'proved':>6} {'lines':>5}  verdict")
    for each in layers:
        start = time.perf_counter()
        try:
            view = differential_view(derive(each))
            report = view.check()
        except Exception as error:  # one layer must not hide the others
            print(f"{each.name:34} {type(error).__name__}: {error}")
            continue
        count = len(view.agreement)
        gradients, proved = gradients + count, proved + count - len(view.unproved)
        lines += sum(len(proof.lines) for proof in report.proofs)
        good += report.ok
        first = next((f"{p.kind} {p.name}: {p.first_problem}" for p in report.proofs if not p.ok), "")
        left = f"; checked, not proved: {', '.join(view.unproved)}" if view.unproved else ""
        verdict = "every line holds" if report.ok else first
        own = sum(len(proof.lines) for proof in report.proofs)
        print(
            f"{each.name:34} {count:9} {count - len(view.unproved):6} {own:5}  {verdict}{left}  ({time.perf_counter() - start:.1f} s)",
            flush=True,
        )
    print(f"{good} of {len(layers)} layers: every line holds ({lines} lines).")
    print(f"{gradients} gradients end in the index view's last line: {proved} by rules alone, {gradients - proved} at random numbers.")
    return 0 if good == len(layers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
