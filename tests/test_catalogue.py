"""The printed table of the catalogue: it runs what it prints, and one cell that fails is enough to fail."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import kernel_checks
import pytest
from catalogue_rows import ROWS

from derive.layers import names

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The command, which runs its checks in this process."""
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.import_module("benchmarks.catalogue")
    monkeypatch.setattr(module, "verdicts", lambda asked, _: {name: module.verdict(name) for name in asked})
    return module


def test_every_row_has_layers_and_every_layer_is_there() -> None:
    known = set(names())
    for _, row, layers in ROWS:
        assert layers and set(layers) <= known, (row, set(layers) - known)


def test_a_layer_that_does_all_is_good_in_every_cell(catalogue: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert catalogue.main(["--only", "mse_sum", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (layer,) = found["rows"][0]["layers"]
    assert found["good"] and layer["layer"] == "mse_sum"
    assert len(layer["cells"]) == len(found["cells"]) == 7 and all(cell["good"] for cell in layer["cells"])
    held, _, lines = layer["cells"][1]["text"].partition("/")
    assert held == lines and int(lines) > 10


@pytest.mark.parametrize("check", ["numpy_equals_autograd", "passes_gradgradcheck", "torch_is_finite_at_extremes"])
def test_one_cell_that_fails_fails_the_table(
    check: str, catalogue: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("they differ\nby much")

    monkeypatch.setattr(kernel_checks, check, fails)
    assert catalogue.main(["--only", "mse_sum"]) == 1
    out = capsys.readouterr().out
    assert "NO" in out and "AssertionError: they differ by much" in out and "0 of 1 layers good" in out


def test_a_row_whose_layer_is_not_there_fails(
    catalogue: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import catalogue_rows

    monkeypatch.setattr(catalogue_rows, "ROWS", (("Section", "a row", ("no_such_layer",)), ("Section", "another", ())))
    assert catalogue.main([]) == 1
    out = capsys.readouterr().out
    assert "there is no such layer" in out and "no layer" in out
    assert catalogue.main(["--only", "absent"]) == 2
