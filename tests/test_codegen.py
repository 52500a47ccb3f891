"""From a derivation to source text: passes, names, layouts, the command, and what generated modules may import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from derivations import DERIVED, derived
from kernel_reference import inputs_of, listed, load, plain, sizes_of
from torch.autograd import gradcheck, gradgradcheck

from codegen.__main__ import main
from codegen.files import GENERATED
from codegen.passes.order import ordered
from codegen.passes.sharing import share
from codegen.program import Block, Op, Read
from codegen.source import program_of, rendered, sources
from codegen.targets.naming import names_for
from codegen.targets.spellings import NUMPY
from codegen.targets.text import Factor, Text, aligned, number, product
from derive.engine import derive
from derive.expr import Idx
from derive.layers import LAYERS
from derive.render.page import kind_of
from derive.spec import Layer
from derive.write import write

ROOT = Path(__file__).resolve().parent.parent
I, J, K, L = (Idx(name, name.upper()) for name in "ijkl")

# What the catalogue may lack: layouts, layers with several outputs, names that Python or an axis already has.
ODD = {
    "batched": "Y[b,t,j] = sum(k, X[b,t,k]*W[k,j]) + c[j]",
    "three_factors": "Y[b,o] = sum(i,j, X[b,i]*A[o,i,j]*Z[b,j])",
    "everything": "L = sum(i,j, X[i,j])",
    "rows": "Y[i] = sum(j, X[i,j])",
    "addition": "Y[i,j] = X[i,j] + Z[i,j]",
    "outer": "Y[i,j] = x[i]*y[j]",
    "trace": "L = sum(i, X[i,i])",
    "diagonal": "y[i] = X[i,i]",
    "distances": "D[i,j] = sum(c, (X[i,c]-Y[j,c])^2)",
    "lookup": "int ids:V\nY[b,t,c] = E[ids[b,t],c]",
    "log_of_sum": "Y[i] = log(sum(j, exp(X[i,j])))",
    "vector": "y[i] = sum(j, A[i,j]*x[j])",
    "batch_of_vectors": "y[b,j] = sum(i, x[b,i]*A[b,i,j])",
    "scaled": "Y[i,j] = alpha*X[i,j]",
    "tensors": "Y[b,i,l,j,k] = sum(d, Q[b,i,l,d]*K[b,d,j,k])",
    "transposed": "Y[j,i] = X[i,j]*2",
    "modules": "np[i] = sum(j, torch[i,j]*math[j]*saved[j])",
    "cube": "Y[i] = X[i]^3",
    "sign": "Y[i,j] = sign(X[i,j])",
    "numbers": "L = a*b",
    "largest": "Y[i] = max(j, X[i,j])",
    "triangle": "Y[i,j] = where(i <= j, X[i,j], 0)",
    "power": "Y[i] = (X[i]^2 + 1)^a",
    "both_ways": "Y[i,j] = exp(X[j,i]) + X[i,j]",
    "angles": "const w\nA[n,f] = position(n)*w[f]\nY[b,n,f] = X[b,n,f]*cos(A[n,f])",
    "band": "const r\nY[b,i] = sum(k, where(i - r <= k, where(k <= i, exp(X[b,i,k])*Z[b,k], 0), 0))",
    "prefix": "Y[b,i] = sum(k, where(k <= i, X[b,k]*Z[k,i], 0))",
    "prefix_of_vector": "Y[b,i] = Z[i] + sum(k, where(k <= i, X[b,k], 0))",
    "either": "Y[i,j] = where(X[i,j] > Z[j], exp(-X[i,j]), X[i,j]*Z[j])",
    "counts": "Y[i] = Z[i]*sum(k, where(k != i, 2, 0)) + sum(k, X[k])",
    "long_row": "Y[i,j] = where(size(j) > 3, X[i,j], 0) + X[i,j]",
    "of_matrix_sums": "Y[i,e] = sum(j, A[i,j]*(sum(c, V[e,c]*X[j,c]) + sum(c, W[e,c]*X[i,c])))",
}
TWO_OUTPUTS = Layer.parse("two", "Y[i,j] = sum(k, X[i,k]*W[k,j])\nR[i,j] = exp(Y[i,j])", outputs=["Y", "R"])
ODD_LAYERS = [*(Layer.parse(name, text) for name, text in ODD.items()), TWO_OUTPUTS]


RMS_NORM = """\
from sympy import Eq, Sum, sqrt

from derive import Layer, axes, tensors

n, c, k, C = axes("n:N c:C k:C C")
X, g, Y = tensors("X[N,C] g[C] Y[N,C]")
RMS_NORM = Layer("my_rms_norm", [Eq(Y[n, c], g[c] * X[n, c] / sqrt(Sum(X[n, k] ** 2, k) / C))], wrt=(X, g))
"""


@pytest.mark.parametrize("layer", ODD_LAYERS, ids=[layer.name for layer in ODD_LAYERS])
def test_any_layout_gives_both_kernels(layer: Layer, tmp_path: Path) -> None:
    texts = sources(derive(layer))
    inputs = inputs_of(layer, sizes_of(layer))
    moving = [tensor.requires_grad_() for name, tensor in zip(layer.inputs, inputs) if name in layer.wrt]
    want = plain(layer, *inputs)
    upstream = [torch.rand_like(output) for output in want]
    gradients = torch.autograd.grad(want, moving, upstream)
    kernel = load(texts["numpy"], layer.name, tmp_path)
    values, saved = kernel.forward(*(tensor.detach().numpy() for tensor in inputs))
    found = kernel.backward(*(tensor.numpy() for tensor in upstream), saved)
    for got, expected in zip([*listed(values), *listed(found)], [*want, *gradients]):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-10, atol=1e-13)
    for array in [*listed(values), *listed(found)]:
        assert not any(np.shares_memory(array, tensor.detach().numpy()) for tensor in [*inputs, *upstream])
    function = getattr(load(texts["torch"], layer.name, tmp_path), layer.name)
    modes = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert gradcheck(function, inputs, fast_mode=True, **modes)
    assert gradgradcheck(function, inputs, fast_mode=True, check_fwd_over_rev=True)


# ---------------------------------------------------------------------------------------------------- passes


def test_equal_values_are_computed_once() -> None:
    for layer in LAYERS[::2]:
        program = share(program_of(derived(layer)))
        for block in (program.forward, program.backward):
            kinds = [(op.kind, op.fn, op.args, op.axes) for op in block.ops if op.kind == "map" and op.fn == "exp"]
            assert len(set(kinds)) == len(kinds), layer.name


def test_a_product_of_three_goes_through_the_smaller_intermediate() -> None:
    chain = Op("Y", "contract", (I,), (Read("A", (I, J)), Read("B", (J, K)), Read("x", (K,))), (J, K))
    first, second = ordered(Block(("A", "B", "x"), (chain,), ("Y",))).ops
    assert [arg.value for arg in first.args] == ["B", "x"]
    assert second.out == "Y" and {arg.value for arg in second.args} == {"A", first.out}


def test_an_index_of_one_argument_alone_is_summed_there_first() -> None:
    op = Op("Y", "contract", (I,), (Read("A", (I, J)), Read("B", (I, K))), (J, K))
    steps = ordered(Block(("A", "B"), (op,), ("Y",))).ops
    assert [step.kind for step in steps] == ["reduce", "reduce", "map"]


def test_what_is_saved_is_what_the_backward_pass_mentions() -> None:
    for layer in LAYERS:
        program = program_of(derived(layer))
        read = {arg.value for op in program.backward.ops for arg in op.args}
        anew = set(program.recompute.inputs) if program.recompute is not None else set()
        assert set(program.saved) <= read | anew | set(program.gradients), layer.name


# ---------------------------------------------------------------------------------------------------- masks


MASKED = """\
const A
P[i,j] = where(A[i,j] > 0, exp(S[i,j]), 0)/sum(k, where(A[i,k] > 0, exp(S[i,k]), 0))
"""


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_row_with_every_entry_masked_is_zero_and_so_is_its_gradient(dtype: torch.dtype, tmp_path: Path) -> None:
    texts = sources(derive(Layer.parse("masked", MASKED)))
    A = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], dtype=dtype)
    S = torch.tensor([[1.0, 100.0, 2.0], [100.0, -100.0, 0.0]], dtype=dtype, requires_grad=True)
    dP = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=dtype)
    kernel = load(texts["numpy"], "masked", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        P, saved = kernel.forward(A.numpy(), S.detach().numpy())
        dS = kernel.backward(dP.numpy(), saved)
        _, tP = kernel.jvp(A.numpy(), S.detach().numpy(), dP.numpy())
    function = load(texts["torch"], "masked", tmp_path).masked
    values = function(A, S)
    (gradient,) = torch.autograd.grad(values, S, dP, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), S)
    for array in (P, dS, tP, values.detach().numpy(), gradient.detach().numpy(), second.numpy()):
        assert array.dtype == P.dtype == A.numpy().dtype
        assert np.isfinite(array).all() and (array[1] == 0).all()
    np.testing.assert_allclose(P[0], [1 / (1 + np.e), 0, np.e / (1 + np.e)], rtol=1e-2 if dtype == torch.float16 else 1e-6)


def test_an_entry_that_is_masked_may_be_as_large_as_it_likes() -> None:
    from generated.numpy import attention_causal as kernel
    from generated.torch.attention_causal import attention_causal

    Q, K, V = np.full((1, 1, 2, 1), 100.0), np.array([0.0, 100.0]).reshape(1, 1, 2, 1), np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        O, saved = kernel.forward(Q, K, V)
        gradients = kernel.backward(np.ones_like(O), saved)
    inputs = [torch.tensor(array, requires_grad=True) for array in (Q, K, V)]
    found = attention_causal(*inputs)
    np.testing.assert_array_equal(O.ravel(), [1, 2])
    np.testing.assert_array_equal(found.detach().numpy(), O)
    for got, want in zip(torch.autograd.grad(found.sum(), inputs), gradients):
        assert np.isfinite(want).all()
        np.testing.assert_allclose(got.numpy(), want)


def test_a_quotient_by_zero_under_a_mask_is_dropped(tmp_path: Path) -> None:
    kernel = load(sources(derive(Layer.parse("ratio", "Y[i,j] = where(X[i,j] > 0, Z[j]/X[i,j], 0)")))["numpy"], "ratio", tmp_path)
    X, Z = np.array([[2.0, 0.0]]), np.array([1.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Y, _ = kernel.forward(X, Z)
    np.testing.assert_array_equal(Y, [[0.5, 0]])


def test_a_mask_over_more_indices_than_its_factors_stays_a_matrix_product() -> None:
    text = sources(derive(Layer.parse("prefix", ODD["prefix_of_vector"])))["numpy"]
    assert " @ " in text and "np.where(" not in text


# ---------------------------------------------------------------------------------------------------- text


def test_numbers_are_written_as_python_and_torch_take_them() -> None:
    assert [number(Fraction(value)).code for value in (7, -(2**53), 2**53 + 1, 10**30, -(10**30))] == [
        *("7", "-9007199254740992", "9007199254740992.0", "1e30", "-1e30"),
    ]
    with pytest.raises(NotImplementedError, match="beyond every floating-point number"):
        number(Fraction(10) ** 400)


def test_scalars_meet_before_arrays_and_lengths_never_divide_numbers() -> None:
    X, s, n = Text("X", axes=(I, J)), Text("s"), Text("N", host=True)
    assert product(Fraction(2), [Factor(s), Factor(n, below=True), Factor(X)], (I, J))[1].code == "2 * s / N * X"
    assert product(Fraction(2), [Factor(X), Factor(n, below=True)], (I, J))[1].code == "2 * X / N"
    assert product(Fraction(-1, 3), [Factor(X)], (I, J)) == (True, Text("X / 3", 2, (I, J)))
    assert product(Fraction(8943, 200000), [Factor(X)], (I, J))[1].code == "0.044715 * X"


def test_missing_axes_are_inserted_where_broadcasting_does_not_supply_them() -> None:
    assert aligned(Text("m", axes=(I,)), (I, J), NUMPY).code == "m[:, None]"
    assert aligned(Text("b", axes=(J,)), (I, J), NUMPY).code == "b"
    assert aligned(Text("D", axes=(I, J, K)), (I, J, K, L), NUMPY).code == "D[..., None]"
    assert aligned(Text("W", axes=(J, I)), (I, J), NUMPY).code == "W.T"
    assert aligned(Text("T", axes=(I, K)), (I, J, K), NUMPY).code == "T[:, None, :]"


def test_names_stay_those_of_the_spec_unless_python_has_them() -> None:
    arrays, sizes = names_for(["X", "K", "lambda", "np", "i'"], ["N", "K"])
    assert arrays == {"X": "X", "K": "K", "lambda": "lambda_", "np": "np_", "i'": "i_p"}
    assert sizes == {"N": "N", "K": "size_K"}
    arrays, sizes = names_for(["_X", "X", "X_", "__N", "_", "_2"], ["_N", "_"])
    assert arrays == {"_X": "X_", "X": "X", "X_": "X__", "__N": "N__", "_": "x_", "_2": "x2_"}
    assert sizes == {"_N": "N_", "_": "size_x_"}


def test_a_name_that_begins_with_an_underscore_has_kernels(tmp_path: Path) -> None:
    """A field of `Saved` may not begin with one, and the module has functions such as `_exp` and `_real` of its own."""
    text = "axes _i:_N\nconst _c\n_h[_i] = _X[_i]^2*_exp[_i] + _real\nY[_i] = exp(_h[_i])*X_[_i]*_c[_i] + _c[_i]"
    layer = Layer.parse("underscores", text)
    numpy, kernel = (load(text, target, tmp_path) for target, text in rendered(derive(layer), ("numpy", "torch")).items())
    random = np.random.default_rng(0)
    given = {name: random.uniform(0.2, 0.9, layer.tensor(name).dims and 3) for name in layer.inputs}
    X, exp, real, X_, c = (given[name] for name in ("_X", "_exp", "_real", "X_", "_c"))
    value, saved = numpy.forward(*given.values())
    np.testing.assert_allclose(value, np.exp(X**2 * exp + real) * X_ * c + c)
    gradients = dict(zip(layer.wrt, numpy.backward(np.ones(3), saved)))
    np.testing.assert_allclose(gradients["_X"], 2 * X * exp * np.exp(X**2 * exp + real) * X_ * c)
    inputs = [torch.tensor(array, requires_grad=name in layer.wrt) for name, array in given.items()]
    assert gradcheck(kernel.underscores, inputs, check_forward_ad=True) and gradgradcheck(kernel.underscores, inputs)


# ---------------------------------------------------------------------------------------------------- the command


def run(*arguments: str) -> int:
    return main(list(arguments))


def test_generated_is_what_codegen_writes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.__main__._derivations", lambda layers: map(derived, layers))
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_layer_defined_by_a_user_gets_kernels_that_pass_their_own_test(tmp_path: Path) -> None:
    (tmp_path / "my_layers.py").write_text(RMS_NORM)
    out = tmp_path / "out"
    assert run(str(tmp_path / "my_layers.py"), "-o", str(out)) == 0
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.py"))
    assert written == ["numpy/my_rms_norm.py", "test_my_rms_norm.py", "torch/my_rms_norm.py"]
    assert run(str(tmp_path / "my_layers.py"), "-o", str(out), "--check") == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_rms_norm.py"]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_of_a_layer_with_facts_and_labels_makes_inputs_that_respect_them(tmp_path: Path) -> None:
    wanted = [layer for layer in LAYERS if layer.facts or any(t.kind == "int" for t in layer.tensors)][:2]
    for layer in wanted:
        assert run(layer.name, "-o", str(tmp_path)) == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"test_{layer.name}.py" for layer in wanted)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_shows_the_difference_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = LAYERS[0].name
    assert run(layer, "-o", str(tmp_path)) == 0
    edited = tmp_path / "numpy" / f"{layer}.py"
    edited.write_text(edited.read_text().replace("def forward", "def onward"))
    before = edited.read_text()
    capsys.readouterr()
    assert run(layer, "-o", str(tmp_path), "--check") == 1
    shown = capsys.readouterr().out
    assert "-def onward" in shown and "+def forward" in shown
    assert edited.read_text() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("def (", "this is no Python"),
        ("x = 1\n", "defines no layer"),
        ('from derive import Layer\nA = Layer.parse("my layer", "Y[i] = X[i]")\n', "'my layer' cannot be a layer's name"),
        ('from derive import Layer\nA = Layer.parse("torch", "Y[i] = X[i]")\n', "cannot be named 'torch'"),
        ('from derive import Layer\nA = Layer.parse("list", "Y[i] = X[i]")\n', "cannot be named 'list'"),
    ],
)
def test_a_mistake_is_one_message_and_no_file(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert run(str(path), "-o", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert error.startswith("codegen: error: ") and said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_registration_is_chosen_for_layers_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Y[i] = 3*X[i]", "-o", str(tmp_path), "--registration", "library"]) == 0
    assert 'custom_op("gradproof::formula"' in (tmp_path / "torch" / "formula.py").read_text()
    assert "check_forward_ad" not in (tmp_path / "test_formula.py").read_text()
    assert main(["--registration", "library"]) == 2
    assert "the catalogue's kernels are autograd Functions" in capsys.readouterr().err


def test_a_link_to_a_module_stays_a_link_and_what_is_no_file_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere.py").write_text("before")
    (tmp_path / "numpy").mkdir()
    link = tmp_path / "numpy" / "formula.py"
    link.symlink_to(tmp_path / "elsewhere.py")
    assert main(["Y[i] = 3*X[i]", "-o", str(tmp_path)]) == 0
    assert link.is_symlink() and "def forward" in (tmp_path / "elsewhere.py").read_text()
    link.unlink()
    os.mkfifo(link)
    assert main(["Y[i] = 4*X[i]", "-o", str(tmp_path)]) == 2
    assert f"{link}: is a pipe or a device" in capsys.readouterr().err and link.is_fifo()


def test_where_to_write_must_be_said_and_must_be_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(LAYERS[0].name) == 2
    assert "-o DIR" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "file" / "below"):
        assert run(LAYERS[0].name, "-o", str(where)) == 2
        assert "codegen: error" in capsys.readouterr().err
    assert run("no_such_layer", "-o", str(tmp_path)) == 2
    capsys.readouterr()
    assert run("Y[i] = 3*X[i]", "-o", "") == 2
    assert "argument -o/--output: it is empty; write the name of a folder" in capsys.readouterr().err
    assert run("Y[i] = 3*X[i]", "-o", "/proc/kernels") == 2
    assert "/proc/kernels/numpy: the folder cannot be made" in capsys.readouterr().err


def test_a_folder_in_the_way_leaves_every_file_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = LAYERS[0].name
    (tmp_path / f"test_{name}.py").mkdir()
    assert run(name, "-o", str(tmp_path)) == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# ---------------------------------------------------------------------------------------------------- imports and order


BLOCKED = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocked())
for name in {names}:
    importlib.import_module(f"generated.{target}.{{name}}")
"""


@pytest.mark.parametrize(
    ("target", "blocked"),
    [("numpy", ["sympy", "jinja2", "torch", "derive", "codegen"]), ("torch", ["sympy", "jinja2", "derive", "codegen"])],
)
def test_kernels_import_without_the_library(target: str, blocked: list[str]) -> None:
    names = sorted(path.stem for path in (GENERATED / target).glob("*.py"))
    # torch imports SymPy for itself; only what the kernels ask for on top of it is blocked.
    code = ("import torch\n" if target == "torch" else "") + BLOCKED.format(blocked=blocked, names=names, target=target)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


HASHED = """
import hashlib
from codegen.files import catalogue_files
from derive.engine import derive
from derive.layers import LAYERS
files = catalogue_files(derive(layer) for layer in LAYERS[::{step}])
print(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest())
"""


def test_output_is_the_same_under_every_hash_seed() -> None:
    step = max(len(LAYERS) // 4, 1)
    found = set()
    for seed in ("0", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", HASHED.format(step=step)], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("name", ["attention_causal", "batch_norm", "cross_entropy_labels", "log_determinant", "rnn"])
def test_every_comment_is_the_end_of_the_proof_that_it_cites(name: str) -> None:
    """Or an equation of the layer, or one that a proof starts from; a shift inside exponentials may be any number, and is a maximum."""
    derivation = DERIVED[name]
    second = derivation.second
    proofs = (*derivation.computed, *second.computed)
    known = {f"{kind_of(proof)}: {write(proof.result)}" for proof in proofs} | {write(e) for e in derivation.layer.equations}
    known |= {write(equation) for proof in proofs for equation in proof.given}
    cited = set()
    for text in rendered(derivation).values():
        body = re.sub(r"\n +#     ", " ", text[text.index("\ndef forward") if "\ndef forward" in text else text.index("\nclass ") :])
        cited |= set(re.findall(r"^ +# (.*)$", body, re.MULTILINE))
    told = {comment for comment in cited if comment not in known and not re.fullmatch(r"m\w*(\[.*\])? = max\(.*\)", comment)}
    assert not {comment for comment in told if " = " in comment and not comment.startswith("By a pass: ")}
    assert {f"Lemma: {write(e)}" for e in derivation.backward if e.target.tensor in derivation.gradients} <= cited
