"""The house's rules, read off the source: what may import what, and where a layer's name may stand."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from derive.functions import ARITY
from derive.layers import LAYERS, names
from derive.spec import Layer

ROOT = Path(__file__).resolve().parent.parent
STDLIB = set(sys.stdlib_module_names)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The whole names of every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", sources("derive"), ids=lambda path: str(path.relative_to(ROOT)))
def test_derive_never_imports_codegen(path: Path) -> None:
    assert not packages(path) & {"codegen", "generated", "torch", "benchmarks"}


def test_the_checker_stands_on_the_standard_library_alone() -> None:
    for path in [ROOT / "derive/check.py", *sources("derive/checker")]:
        ours = {name for name in imported(path) if name.partition(".")[0] not in STDLIB}
        assert all(re.match(r"derive\.(check|checker)(\.|$)", name) for name in ours), (path, ours)


def test_generated_kernels_import_their_target_alone() -> None:
    """And, where it is installed, what tells NumPy's BLAS how many threads it has."""
    for target, allowed in (("numpy", {"numpy", "threadpoolctl"}), ("torch", {"torch"})):
        for path in sources(f"generated/{target}"):
            others = packages(path) - STDLIB - allowed
            assert not {
                name for name in imported(path) if name.partition(".")[0] in others and not name.startswith(f"generated.{target}")
            }, path


def test_reading_a_text_spec_needs_no_sympy() -> None:
    seen: set[str] = set()
    queue = ["derive.parse", "derive.shapes", "derive.expr"]
    while queue:
        module = queue.pop()
        path = ROOT / (module.replace(".", "/") + ".py")
        if module in seen or not path.exists():
            continue
        seen.add(module)
        assert "sympy" not in packages(path), module
        queue += [name for name in imported(path) if name.startswith("derive.")]


def test_one_layer_is_shown_without_reading_the_catalogue() -> None:
    code = "import sys; from derive.__main__ import main; main(['attention']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    read = sorted(name for name in done.stderr.split() if name.startswith("derive.layers."))
    wanted = ["derive.layers.attention", "derive.layers.attention_scores", "derive.layers.equals"]
    assert read == wanted, "only its own file, what is declared equal to what, and the file of its equal"


def test_every_layer_of_the_folder_is_in_the_table_of_contents() -> None:
    for path in sources("derive/layers"):
        if path.name not in ("__init__.py", "equals.py") and path.parent.name == "layers":
            module = importlib.import_module(f"derive.layers.{path.stem}")
            own = {value.name for value in vars(module).values() if isinstance(value, Layer)}
            assert own & set(names()), f"{path.name} holds no layer of the catalogue"
    assert len(set(names())) == len(names())


NAMES = [layer.name for layer in LAYERS] + ["mean_squared_error", "crossentropy"]
# Words of the language: a layer may be named after the scalar function that it applies, or as NumPy's own method.
ANYWHERE = {"linear", "reshape", "flatten", *ARITY}


def words(path: Path) -> set[str]:
    """The identifiers and the words of the string constants of a source file, its comments and docstrings left out."""
    if path.suffix == ".jinja":
        return set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.update(re.findall(r"\w+", node.value))
    return found


@pytest.mark.parametrize(
    "path",
    [p for p in [*sources("derive"), *sources("codegen"), *sorted((ROOT / "codegen").rglob("*.jinja"))] if "layers" not in p.parts],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_layer_is_named_outside_the_catalogue(path: Path) -> None:
    found = {word.lower() for word in words(path)}
    allowed = ANYWHERE
    if path.name == "__main__.py" or "cli" in path.parts:
        # The examples in a command's help name layers, as documentation does.
        return
    if path.name == "parse.py":
        # The hint for a user who writes softmax(...) as a function.
        allowed = ANYWHERE | {"softmax"}
    if path.name == "spellings.py":
        # The table of torch's own operators, and an option of its softplus.
        allowed = ANYWHERE | {"softmax", "threshold"}
    if path.parent.name == "tutor" and path.name in ("words.py", "reading.py", "calls.py", "elaborate.py"):
        # A person's formula may write softmax(S), as NumPy's and PyTorch's users do.
        allowed = ANYWHERE | {"softmax"}
    assert not found & (set(NAMES) - allowed)


def test_every_file_says_its_purpose_first() -> None:
    for folder in ("derive", "codegen", "benchmarks", "docs", "examples", "tests"):
        for path in sources(folder):
            text = path.read_text(encoding="utf-8")
            assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no first line saying what it is for"


def test_no_file_names_a_machine() -> None:
    for path in [*sources("derive"), *sources("codegen"), ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci/run"]:
        assert not re.search(r"/(home|root|Users|work)/|https?://pypi|--index-url", path.read_text(encoding="utf-8")), path
