"""A user's own layer: from `derive new` to kernels, and whether the test written beside them would catch a wrong kernel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import codegen
from codegen.__main__ import main as codegen_main
from derive import Layer, SpecError, derive
from derive.__main__ import main as derive_main
from derive.names import RESERVED

ROOT = Path(__file__).resolve().parent.parent


# ---------------------------------------------------------------------------------------------------- derive new


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(folder: Path, *words: str) -> str:
    """What one command prints, run as a user runs it; it has to succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_file_in_text_works_as_it_stands(tmp_path: Path) -> None:
    # The one in Python is in the README: `tests/test_readme.py` runs its four commands.
    shell(tmp_path, "derive", "new", "my_layer", "--text")
    assert "hold, checked independently" in shell(tmp_path, "derive", "my_layer.layer")
    shell(tmp_path, "derive", "check", "my_layer.layer")
    shell(tmp_path, "codegen", "my_layer.layer", "-o", "kernels")
    assert " passed" in shell(tmp_path, "pytest", "-p", "no:cacheprovider", "kernels")


@pytest.mark.parametrize("form", [[], ["--text"]])
def test_a_new_file_is_short_and_every_line_of_its_proofs_holds(form: list[str], here: Path) -> None:
    assert derive_main(["new", "my_layer", *form]) == 0
    (path,) = here.iterdir()
    code = [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith(("#", '"""'))]
    assert len(code) < 15
    assert derive_main(["check", path.name]) == 0


def test_both_forms_of_a_new_file_are_the_same_layer(here: Path) -> None:
    from derive.cli.find import find

    assert derive_main(["new", "my_layer"]) == 0 and derive_main(["new", "my_layer", "--text"]) == 0
    (python,), (text,) = find("my_layer.py"), find("my_layer.layer")
    assert (python.name, python.tensors, python.equations) == (text.name, text.tensors, text.equations)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my layer", "use letters, digits and _"),
        ("a/b", "use letters, digits and _"),
        ("", "use letters, digits and _"),
        ("class", "use letters, digits and _"),
        ("größe", "use the letters a to z"),
        ("numpy", "would hide Python's own module numpy"),
        ("random", "would hide Python's own module random"),
        ("derive", "would hide Python's own module derive"),
        ("test_me", "pytest would take its modules for tests; call it me_layer"),
        ("my_layer.py", "write derive new my_layer"),
        ("my_layer.layer", "write derive new my_layer --text"),
        *((name, "cannot be named") for name in sorted(RESERVED - {"math"})),
    ],
)
def test_a_name_that_will_not_do_is_refused_and_nothing_is_written(
    name: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert derive_main(["new", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("derive: error: ") and said in error and error.count("\n") == 1
    assert not any(here.iterdir())


def test_a_file_that_is_there_is_left_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.py").write_text("precious = 1\n")
    assert derive_main(["new", "mine"]) == 2
    assert "mine.py is there already, and is left as it is" in capsys.readouterr().err
    assert (here / "mine.py").read_text() == "precious = 1\n"
    assert [path.name for path in here.iterdir()] == ["mine.py"]


# ---------------------------------------------------------------------------------------------------- a kernel in one call


MEAN = "S[n,m] = sum(k, X[n,k]*W[k,m]) + b[m]\nY[n] = sum(m, S[n,m]^2)/size(m)"


def test_a_kernel_in_one_call_is_the_one_that_is_written() -> None:
    layer = Layer.parse("mean_of_squares", MEAN)
    function, module = codegen.kernel(layer), codegen.kernel(derive(layer), "numpy")
    X, W, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3), (3, 4), (4,)))
    found = torch.autograd.grad(function(X, W, b).sum(), (X, W, b))
    wanted = torch.autograd.grad(((X @ W + b) ** 2).mean(1).sum(), (X, W, b))
    Y, saved = module.forward(*(tensor.detach().numpy() for tensor in (X, W, b)))
    for got, also, want in zip(found, module.backward(np.ones_like(Y), saved), wanted):
        torch.testing.assert_close(got, want)
        np.testing.assert_allclose(also, want.numpy())


def test_a_mistake_in_asking_for_a_kernel_is_one_message() -> None:
    with pytest.raises(SpecError, match="there is no target 'jax'; choose numpy, torch and library"):
        codegen.kernel(Layer.parse("m", MEAN), "jax")
    with pytest.raises(SpecError, match="a Layer or a Derivation, not of a str"):
        codegen.kernel("linear")
    with pytest.raises(SpecError, match="cannot be named 'list'"):
        codegen.kernel(Layer.parse("list", MEAN))


# ---------------------------------------------------------------------------------------------------- planted bugs


START = r"(?m)^( +)(# Lemma: dS\[n,m\] = )"
"""Where a backward pass starts; in the torch module its first one is the gradients', the second the second order's."""

BUGS = {
    "a broadcast without its sum": (r"db = _sum\(dS, -1\)", "db = dS[:, 0]"),
    "a sum over the wrong axis": (r"db = dS\.sum\(\w+=0\)", "db = dS.sum(1)"),
    "ones for the upstream gradient": (START, r"\1dY = dY * 0 + 1\n\1\2"),
    "the first entry of the upstream gradient for all": (START, r"\1dY = dY * 0 + dY.ravel()[0]\n\1\2"),
    "the factor of the mean lost": (r"(dS = .*2) / M", r"\1"),
    "the length of another axis": (r"M = W\.shape\[-1\]", "M = W.shape[0]"),
    "a sign": (r"dX = (dS @ W\.T|np\.matmul\(dS\.T, W\.T, out=dX\))", r"dX = -(\1)"),
    "a factor of the power rule": (r"dS = 2 \* dY", "dS = dY"),
    "gradients in another order": (r"(?<=return )dX, dW, db|(?<=, \()dX, dW, db", "dX, db, dW"),
    "an upstream gradient changed in place": (START, r"\1dY *= 0.5\n\1\2"),
    "an input changed in place": (START, r"\1X[0] = 0\n\1\2"),
}
BUGS_OF = {
    "numpy": {
        "upstream entries taken in memory order": (START, r"\1dY = np.lib.stride_tricks.as_strided(dY, dY.shape, (8,))\n\1\2"),
        "saved inputs taken in memory order": (START, r"\1X = X.ravel('K').reshape(X.shape)\n\1\2"),
        "double precision lost": (START, r"\1dY = dY.astype(np.float32)\n\1\2"),
        "a tangent without one of its terms": (r"\n    tS \+= X @ tW", ""),
    },
    "torch": {
        "upstream entries taken in memory order": (START, r"\1dY = torch.as_strided(dY, dY.shape, (1,))\n\1\2"),
        "saved inputs taken in memory order": (START, r"\1X = torch.as_strided(X, X.shape, (X.shape[1], 1))\n\1\2"),
        "double precision in single precision": (START, r"\1dY = dY.double()\n\1\2"),
        "a second order that forgets the upstream gradient": (r"d2dY = 2 \* torch.*", "d2dY = torch.zeros_like(dY)"),
        "a second order without one of its terms": (r"d2W = X\.T @ d2S \+ .*", "d2W = X.T @ d2S"),
        "a tangent without one of its terms": (r"tS = tX @ W \+ X @ tW", "tS = tX @ W"),
        "a gradient only where another is asked for": (r"if need_b:", "if need_W:"),
    },
}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted.layer").write_text(MEAN)
    assert codegen_main([str(folder / "planted.layer"), "-o", str(folder)]) == 0
    return folder


UNWATCHED = ("-pno:unraisableexception", "-pno:threadexception")
"""What searches the whole memory of this process for errors of finalisers, before and after: ten times as long as the tests."""


def outcome(folder: Path) -> int:
    """What pytest says of the folder, in this process: importing torch takes longer than the tests."""
    options = (
        "-qqx",
        "--no-header",
        "--tb=no",
        "-pno:cacheprovider",
        "-pno:xdist",
        *UNWATCHED,
        "-c",
        os.devnull,
        "--import-mode=importlib",
    )
    return int(pytest.main([*options, str(folder)]))


def test_the_written_test_passes_on_the_kernels_as_they_are_written(kernels: Path) -> None:
    assert outcome(kernels) == 0


# What is wrong in both targets alike is planted in one of them in turn: two seconds each.
PLANTED = [(("numpy", "torch")[n % 2], bug) for n, bug in enumerate(BUGS)]
PLANTED += [(target, bug) for target, bugs in BUGS_OF.items() for bug in bugs]


@pytest.mark.parametrize(("target", "bug"), PLANTED, ids=lambda text: text)
def test_the_written_test_catches(target: str, bug: str, kernels: Path) -> None:
    file = kernels / target / "planted.py"
    right = file.read_text("utf-8")
    pattern, instead = BUGS.get(bug) or BUGS_OF[target][bug]
    # A tangent is wrong wherever it is computed, anything else in the backward pass.
    start = 0 if "tangent" in bug else right.index({"numpy": "\ndef backward", "torch": "\ndef _backward_pass"}[target])
    wrong, count = re.subn(pattern, instead, right[start:], count=1)
    assert count == 1, "the kernel has no such line any more: plant the bug in another one"
    file.write_text(right[:start] + wrong, "utf-8")
    try:
        assert outcome(kernels) == 1
    finally:
        file.write_text(right, "utf-8")
