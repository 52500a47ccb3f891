"""What codegen writes where, and how: all files or none, and only those that changed."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from codegen.source import formatted, over_kernels, rendered
from derive.cli.output import followed

GENERATED = Path(__file__).resolve().parent.parent / "generated"
OWNED = ("numpy", "torch", "proofs")
"""The folders of generated/ that hold nothing but what codegen wrote."""

_PACKAGES = {
    "__init__.py": '"""What `codegen` wrote from the proofs; never edited."""\n',
    "numpy/__init__.py": '"""Kernels in NumPy: `forward`, `backward` and `jvp` of each layer, in a module of its own."""\n',
    "torch/__init__.py": '"""Differentiable functions for torch, one of each layer, in a module of its own."""\n',
}


def catalogue_files(derivations: Iterator[Any], without: Collection[str] = ()) -> dict[str, str]:
    """Path below generated/ -> text, for the layers of the catalogue."""
    files = dict(_PACKAGES)
    modules = {}
    for derivation in derivations:
        name = derivation.layer.name
        for target, text in rendered(derivation, without=without).items():
            modules[f"{target}/{name}.py"] = text
        for suffix, text in proofs(derivation).items():
            files[f"proofs/{name}.{suffix}"] = text
    return {**files, **formatted({**modules, **over_kernels()})}


def user_files(derivations: Iterator[Any], without: Collection[str] = (), registration: str = "function") -> dict[str, str]:
    """Path below the user's folder -> text: both kernels of each layer, and their test. The torch one is autograd Functions, or with
    the registration "library" operators of torch.library, which have no forward mode to be tested."""
    modules = {}
    for derivation in derivations:
        name = derivation.layer.name
        kind = "library" if registration == "library" else "torch"
        texts = rendered(derivation, ("numpy", kind, "test"), without)
        modules[f"numpy/{name}.py"] = texts["numpy"]
        modules[f"torch/{name}.py"] = texts[kind]
        modules[f"test_{name}.py"] = texts["test"] if kind == "torch" else texts["test"].replace(", check_forward_ad=True", "")
    return formatted(modules)


def proofs(derivation: Any) -> dict[str, str]:
    """Suffix -> the proof in that format."""
    from derive.render import json, latex, markdown
    from derive.render.page import page

    name, made = derivation.layer.name, page(derivation)
    texts = {"tex": latex.whole(made), "md": markdown.markdown(made, stem=name), "json": json.document(derivation)}
    return {**texts, **{file.removeprefix(f"{name}."): text for file, text in markdown.pictures(made, name).items()}}


def stale(root: Path, files: Mapping[str, str]) -> list[str]:
    """Files in codegen's own folders of generated/ that it would not write now."""
    found = []
    for folder in OWNED:
        for path in sorted((root / folder).glob("*.*")) if (root / folder).is_dir() else ():
            name = f"{folder}/{path.name}"
            if path.is_file() and name not in files:
                found.append(name)
    return found


def differences(root: Path, files: Mapping[str, str]) -> list[str]:
    """A unified diff, as lines, from what lies in `root` to what codegen would write."""
    lines: list[str] = []
    for name in sorted(files):
        path = root / name
        before = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        after = files[name].splitlines(keepends=True)
        if before != after:
            label = str(path) if path.is_file() else "/dev/null"
            lines += [line.rstrip("\n") for line in difflib.unified_diff(before, after, label, f"{path} (codegen)", n=2)]
    return lines


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"the folder cannot be made ({error.strerror}); name another", str(path)) from None


def write(root: Path, files: Mapping[str, str], remove: list[str]) -> int:
    """Write the files that changed and remove those named; return how many. All are prepared before the first is replaced.

    Raises OSError where something cannot be written; then no file has changed, unless a disk failed between two renames.
    """
    changed = {n: text for n, text in files.items() if not (root / n).is_file() or (root / n).read_text(encoding="utf-8") != text}
    prepared: list[tuple[str, Path]] = []
    try:
        for name, text in changed.items():
            path = followed(root / name)
            _make_folder(path.parent)
            if path.is_dir():
                raise IsADirectoryError(21, "is a folder", str(path))
            if path.exists() and not path.is_file():
                raise OSError(22, "is a pipe or a device, and a module is a file; remove it, or name another folder", str(path))
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            prepared.append((temporary, path))
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
        while prepared:
            temporary, path = prepared.pop(0)
            os.replace(temporary, path)
    finally:
        for temporary, _ in prepared:
            Path(temporary).unlink(missing_ok=True)
    for name in remove:
        (root / name).unlink()
    return len(changed) + len(remove)
