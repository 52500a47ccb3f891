"""The examples: a model on a generated kernel trains as the same model does under autograd, step by step."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
TRAINED = ("bilinear_pooling", "gated_linear_attention", "mahalanobis")


@pytest.mark.parametrize("name", TRAINED)
def test_both_models_are_equal_at_every_step_and_learn(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    assert importlib.import_module(name).main()
    steps = re.findall(r"^ *(\d+) +(\S+) +(\S+) +(\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert [int(step) for step, *_ in steps] == [0, 50, 100, 150, 200, 250, 300]
    assert float(steps[-1][1]) < float(steps[0][1]) / 2
    assert all(float(difference) < 1e-9 for *_, difference in steps)


def test_a_kernel_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    example = importlib.import_module("mahalanobis")
    training = importlib.import_module("training")

    def doubled(*given: object) -> object:
        loss = example.plain(*given)
        return loss + (loss - loss.detach())

    assert not training.side_by_side(example.Model, example.triplets, doubled, example.plain, rate=0.02, steps=50)
    assert float(capsys.readouterr().out.splitlines()[-2].split()[-1]) > 1e-3
