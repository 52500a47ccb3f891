"""The `derive` command: what it prints, what it writes, and one clear message for every mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from derivations import derived

from derive import __version__
from derive.__main__ import main
from derive.cli import pages
from derive.layers import LAYERS, TOPICS
from derive.spec import Layer

LINEAR = "Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]"
OWN = """
from sympy import Eq, Sum, sqrt
from derive import Layer, axes, tensors

n, c, k, C = axes("n:N c:C k:C C")
X, g, Y = tensors("X[N,C] g[C] Y[N,C]")
RMS_NORM = Layer("rms_norm", [Eq(Y[n, c], g[c] * X[n, c] / sqrt(Sum(X[n, k]**2, k) / C))], wrt=(X, g))
OTHERS = [Layer("double", [Eq(Y[n, c], 2 * X[n, c])])]
"""


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def shell(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **settings}
    return subprocess.run([sys.executable, "-m", "derive", *words], capture_output=True, text=True, encoding="utf-8", env=environment)


# ------------------------------------------------------------------------------------------- what is asked for


def listed(out: str) -> list[str]:
    """The layers of a list, without its topics."""
    return [line.split()[0] for line in out.splitlines() if line.startswith("  ")]


def test_alone_it_lists_the_catalogue_by_topic_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    assert listed(out) == [layer.name for layer in LAYERS]
    assert [line for line in out.splitlines() if line and not line.startswith(" ")] == [topic for topic, _ in TOPICS]


def test_search_matches_names_descriptions_and_topics(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "search", "hinge")
    assert (code, err) == (0, "") and listed(out) == ["hinge", "multi_class_hinge", "hinge_embedding_entries"]
    assert out.splitlines()[0] == "Losses with a margin"
    assert listed(run(capsys, "search", "Batch", "norm")[1])[:2] == ["batch_norm", "batch_norm_eval"]
    assert "cross_entropy_smooth" in listed(run(capsys, "search", "szegedy")[1])
    activations = next(layers for topic, layers in TOPICS if topic == "Activations")
    assert set(listed(run(capsys, "search", "activations")[1])) == {layer.name for layer in activations}


def test_a_search_that_finds_nothing_suggests_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "search", "hinje") == (
        2,
        "",
        "derive: error: no layer mentions 'hinje'; did you mean hinge or multi_class_hinge or hinge_embedding_entries?\n",
    )
    assert run(capsys, "search", "zzz") == (2, "", "derive: error: no layer mentions 'zzz'; derive lists the catalogue\n")
    assert run(capsys, "search", " ")[0] == 2
    assert run(capsys, "search")[0] == 2


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[:2] == (0, f"gradproof {__version__}\n")
    code, out, _ = run(capsys, "--help")
    assert code == 0 and "derive check" in out


@pytest.mark.parametrize(("number", "layer"), list(enumerate(LAYERS)), ids=[layer.name for layer in LAYERS])
def test_a_proof_ends_in_results_and_a_clean_ledger(
    number: int, layer: Layer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # That every line holds is the business of test_check; here it is enough that the ledger stands at the end.
    monkeypatch.setattr(pages, "derived", derived)
    checked = number % 6 == 0 and len(layer.equations) <= 3
    code, out, err = run(capsys, layer.name, *([] if checked else ["--no-check"]))
    assert (code, err) == (0, "")
    assert "\nResults\n" in out
    if checked:
        assert out.index("\nResults\n") < out.index("\nChecked\n")
        assert re.search(r"All \d+ lines in \d+ proofs hold", out)


def test_wrt_leaves_the_other_gradients_out(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "attention", "--wrt", "V")
    assert "Lemma: dV" in out and "Lemma: dQ" not in out and "Lemma: dS" not in out
    _, out, _ = run(capsys, "attention", "--wrt", "V,Q")
    assert "Lemma: dQ" in out and "Lemma: dV" in out and "Lemma: dK" not in out


def test_at_a_lecture_s_pace_every_sum_that_collapses_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "attention", "--wrt", "K", "--detail", "baby")
    lemma = out[out.index("Lemma: dK") : out.index("Theorem: dK")]
    assert re.findall(r"the sum over (\S+) collapses: only (\S+) = (\S+) survives", lemma) == [("j′", "j′", "j"), ("d′", "d′", "d")]


def test_a_hessian_times_a_direction(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "linear_regression", "--hvp", "W")
    assert code == 0 and re.search(r"HV = 2 dL\s+Xᵀ \( X\s+V \)", out) and re.search(r"All \d+ lines in \d+ proofs hold", out)
    code, _, err = run(capsys, "linear_regression", "--hvp", "W,X")
    assert code == 2 and "--hvp takes one input, got W,X" in err


def test_a_typed_formula(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, LINEAR, "--wrt", "W", "--no-check")
    assert code == 0
    assert re.search(r"dW =\s+Xᵀ\s+dY", out)
    code, out, _ = run(capsys, "m[i] = sum(j, X[i,j])/size(j); Y[i,j] = X[i,j] - m[i]")
    assert code == 0 and "dX" in out


def test_a_user_s_python_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my_layers.py"
    path.write_text(OWN)
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "")
    assert "rms_norm: gradients of X and g" in out and "double: gradients of X" in out
    code, out, _ = run(capsys, f"{path}:double")
    assert code == 0 and "rms_norm" not in out
    code, _, err = run(capsys, str(path), "--format", "latex")
    assert code == 2 and f"{path}:rms_norm" in err
    assert run(capsys, "check", str(path))[0] == 0
    assert list(tmp_path.iterdir()) == [path], "importing a user's file leaves nothing beside it"


def test_a_layer_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my-linear.layer"
    path.write_text("# rows are examples\n" + LINEAR + "\n")
    code, out, _ = run(capsys, str(path))
    assert code == 0 and "my_linear: gradients of X, W and b" in out


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "marked.layer"
    path.write_text(LINEAR, encoding="utf-8-sig")
    assert run(capsys, str(path))[0] == 0
    path.write_text("", encoding="utf-8-sig")
    assert "is empty" in run(capsys, str(path))[2]


def test_formats(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "linear", "--format", "json")
    assert code == 0 and json.loads(out)["format"] == "gradproof/1"
    code, out, _ = run(capsys, "linear", "--format", "latex")
    assert code == 0 and out.startswith("\\documentclass") and out.endswith("\\end{document}\n")
    code, out, _ = run(capsys, "linear", "--format", "latex", "--fragment")
    assert code == 0 and "\\documentclass" not in out and "\\begin{align*}" in out


def test_files_are_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "linear.tex"
    code, out, err = run(capsys, "linear", "--format", "latex", "-o", str(path))
    assert code == 0 and str(path) in out + err
    assert path.read_text(encoding="utf-8").endswith("\\end{document}\n")
    assert list(tmp_path.iterdir()) == [path]
    _, out, _ = run(capsys, "linear", "--format", "latex")
    assert path.read_text(encoding="utf-8") == out


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, proof, _ = run(capsys, "linear")
    (tmp_path / "folder").mkdir()
    for name, there in (("old.txt", True), ("new.txt", False)):
        target, link = tmp_path / "folder" / name, tmp_path / name
        if there:
            target.write_text("before")
        link.symlink_to(Path("folder") / name)
        assert run(capsys, "linear", "-o", str(link))[0] == 0
        assert link.is_symlink() and target.read_text(encoding="utf-8") == proof
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["new.txt", "old.txt"]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code, _, err = run(capsys, "linear", "-o", str(pipe))
    assert pipe.is_fifo() and os.read(reader, 1 << 16).decode() == proof
    os.close(reader)
    assert code == 0 and f"wrote {pipe} ({len(proof.encode()):,} bytes)" in err


# ------------------------------------------------------------------------------------------- derive check


def test_check_prints_a_line_a_proof(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "attention")
    assert code == 0
    assert re.search(r"lemma dQ +\d+ lines +holds", out)
    code, out, _ = run(capsys, "check", "linear", "--json")
    assert code == 0 and json.loads(out)[0]["ok"] is True


def test_a_document_without_proofs_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "Y[i] = X[i] - X[i]")
    assert code == 0
    assert "There is no proof here, and so no line to check." in out and "All 0 lines" not in out


def test_check_fails_where_a_line_does_not_hold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from derive.engine import Derivation

    true = Derivation.document

    def wrong(self: Derivation) -> dict[str, object]:
        document = true(self)
        lemma = next(p for p in document["proofs"] if p["kind"] == "lemma")
        lemma["steps"][-1]["after"] = ["mul", [["num", "2"], lemma["steps"][-1]["after"]]]
        return document

    monkeypatch.setattr(Derivation, "document", wrong)
    code, out, _ = run(capsys, "check", "linear")
    assert code == 1
    assert "does not hold" in out
    code, out, _ = run(capsys, "linear")
    assert code == 1 and "do not hold" in out


# ------------------------------------------------------------------------------------------- mistakes


def mistakes(tmp: Path) -> dict[str, tuple[list[str], str]]:
    files = {
        "empty.py": "",
        "empty.layer": "  \n",
        "broken.py": "def f(:\n",
        "noise.py": "x = 1\x00",
        "raises.py": "a = 1\nb = undefined_name\n",
        "leaves.py": "raise SystemExit(3)\n",
        "compares.py": OWN + "B = Layer('b', [Eq(Y[n, c], max(X[n, c], 0))])\n",
        "nothing.py": "x = 1\n",
        "code.layer": "Y[i] = __import__('os').system('true')\n",
        "notes.md": "hello",
    }
    for name, content in files.items():
        (tmp / name).write_text(content)
    (tmp / "binary.py").write_bytes(b"\xff\xfe\x00\x81")
    (tmp / "folder.py").mkdir()
    at = {name: str(tmp / name) for name in (*files, "binary.py", "folder.py", "absent.py")}
    return {
        "an unknown layer": (["atention"], "did you mean attention?"),
        "an unknown layer, nothing near": (["zzzz"], "derive search WORD"),
        "wrt an unknown tensor": (["attention", "--wrt", "q"], "did you mean Q?"),
        "wrt a tensor that is computed": (["attention", "--wrt", "P"], "P is computed, not an input"),
        "wrt an integer tensor": (["cross_entropy_labels", "--wrt", "y"], "integer"),
        "wrt a constant": (["mse", "--wrt", "T"], "T is declared constant"),
        "wrt nothing": (["mse", "--wrt", ","], "--wrt names no input"),
        "an empty file": ([at["empty.py"]], "is empty"),
        "an empty layer file": ([at["empty.layer"]], "is empty"),
        "a syntax error": ([at["broken.py"]], "broken.py, line 1: this is no Python"),
        "a null byte": ([at["noise.py"]], "is not text"),
        "no text": ([at["binary.py"]], "is not text"),
        "a folder": ([at["folder.py"]], "is a folder"),
        "an absent file": ([at["absent.py"]], "there is no file"),
        "a file that raises": ([at["raises.py"]], "raises.py, line 2: NameError"),
        "a file that exits": ([at["leaves.py"]], "ends the program"),
        "a file without layers": ([at["nothing.py"]], "defines no layer"),
        "another kind of file": ([at["notes.md"]], "ends in .py (Python) or .layer (text)"),
        "text that runs code": ([at["code.layer"]], "derive: error:"),
        "a formula that runs code": (["Y[i] = __import__('os').system('true')"], "derive: error:"),
        "an index on one side only": (["Y[i] = X[i,j]"], "j"),
        "an output in an absent folder": (["linear", "-o", str(tmp / "no" / "where.txt")], "cannot be written: there is no folder"),
        "an output that is a folder": (["linear", "-o", str(tmp)], "is a folder"),
        "a width too small": (["linear", "--width", "5"], "--width 5 is too narrow"),
        "an unknown format": (["linear", "--format", "markdwn"], "did you mean markdown?"),
        "a PDF without a file": (["linear", "--format", "pdf"], "name it: -o proof.pdf"),
        "an option without a layer": (["--wrt", "X"], "--wrt needs a layer"),
        "a format without a layer": (["--format", "latex"], "--format needs a layer"),
        "an unknown option": (["linear", "--colour"], "unrecognized arguments: --colour"),
        "a word too many": (["linear", "softmax"], "unrecognized arguments: softmax"),
        "a fragment of plain text": (["linear", "--fragment"], "write --format latex --fragment"),
        "an unknown proof": (["linear", "--proof", "dQ"], "there is no proof of dQ; choose from dX, dW, db"),
        "two single proofs": (["linear", "--proof", "dX", "--jacobian", "X"], "--proof and --jacobian ask for one proof each"),
        "Python's max of entries": ([at["compares.py"]], "for max(a, b) write Max(a, b)"),
        "a folder by its path": (["."], "is a folder; name a file in it"),
        "grading nothing": (["grade", "linear", ""], "argument formula: it is empty; write an equation, such as dW = X^T dY, or the name"),
        "an output without a name": (["linear", "-o", ""], "argument -o/--output: it is empty; write the name of a file"),
        "an equality without a name": (["equal", "linear", "linear_out_in", "-o", " "], "argument -o/--output: it is empty"),
        "a book without a name": (["book", "-o", ""], "argument -o/--output: it is empty; write the name of a folder"),
        "an equality of one layer": (["equal", "linear"], "the following arguments are required: second; derive equal --help"),
        "an equality in no format": (["equal", "linear", "linear", "--format", "pfd"], "there is no format 'pfd'"),
        "a book without a folder": (["book"], "the following arguments are required: -o/--output; derive book --help"),
        "checking an unknown layer": (["check", "liner"], "did you mean linear?"),
        "checking nothing": (["check"], "required"),
    }


def test_every_mistake_is_one_message_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (words, expected) in mistakes(tmp_path).items():
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, ""), name
        assert expected in err, (name, err)
        assert err.startswith("derive: error: ") and err.count("derive: error: ") == 1, (name, err)
        assert "Traceback" not in err and "usage: " not in err, name


def test_a_file_named_by_a_relative_path_has_its_line_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("a = 1\nb = undefined_name\n")
    assert run(capsys, "mine.py")[2].startswith("derive: error: mine.py, line 2: NameError")
    (tmp_path / "broken.py").write_text("def f(:\n")
    assert run(capsys, "./broken.py")[2].startswith("derive: error: broken.py, line 1: this is no Python")


def test_an_output_that_cannot_be_written_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "linear", "-o", "/dev/null/x.txt")
    assert code == 2 and "cannot be written" in err


# ------------------------------------------------------------------------------------------- from a shell


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m derive attention --detail baby | head -n 1"
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"}
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("attention")


def test_a_screen_without_unicode_gets_ascii() -> None:
    ran = shell("softmax", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0 and ran.stdout.isascii() and "sum_k exp(S[i,k])" in ran.stdout


def test_output_does_not_depend_on_the_hash_seed() -> None:
    for words in (("attention",), ("cross_entropy", "--format", "latex"), ("attention", "--format", "json")):
        assert len({shell(*words, PYTHONHASHSEED=seed).stdout for seed in ("0", "77")}) == 1


def test_a_proof_that_needs_no_colour_does_not_wait_for_rich() -> None:
    code = "import sys; from derive.__main__ import main; main(['linear']); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
