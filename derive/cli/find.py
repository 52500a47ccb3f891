"""What the command's argument means: a layer of the catalogue, a formula typed on the spot, or a user's file."""

from __future__ import annotations

import difflib
import importlib.util
import keyword
import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from derive.errors import SpecError, listing, near

if TYPE_CHECKING:
    from derive.spec import Layer

SUFFIXES = (".py", ".layer")


def find(target: str) -> tuple[Layer, ...]:
    """The layers that `target` names: one, or for a file without :NAME every layer in it. Raises SpecError."""
    path, name = _split(target)
    if path is not None:
        found = from_python(path) if path.suffix == ".py" else (from_text(path),)
        return (_named(found, name, path),) if name else found
    if "=" in target:
        from derive.spec import Layer

        return (Layer.parse("formula", target),)
    from derive.layers import layer, names

    if target in names():
        return (layer(target),)
    say = near(target, names()) or "; derive lists the catalogue, derive search WORD looks in it."
    raise SpecError(f"there is no layer {target!r}{say} A formula has an equals sign, a file ends in .py or .layer")


def search(words: Sequence[str]) -> tuple[tuple[str, tuple[Layer, ...]], ...]:
    """The layers of the catalogue that mention every word in their name, doc or topic, by topic.

    The ones that have the words in their names come first within a topic. Raises SpecError where there is none.
    """
    from derive.layers import LAYERS, TOPICS

    wanted = [part for word in words for part in _plain(word).split()]
    if not wanted:
        raise SpecError("say what to search for: derive search softmax")
    found = []
    for topic, layers in TOPICS:
        hits = [layer for layer in layers if all(part in _plain(f"{layer.name} {layer.doc} {topic}") for part in wanted)]
        if hits:
            found.append((topic, tuple(sorted(hits, key=lambda layer: not all(part in _plain(layer.name) for part in wanted)))))
    if not found:
        known = {layer.name: _plain(layer.name) for layer in LAYERS}
        near_by = dict.fromkeys(name for part in (" ".join(wanted), *wanted) for name in _nearest(part, known))
        hint = f"; did you mean {' or '.join(near_by)}?" if near_by else "; derive lists the catalogue"
        raise SpecError(f"no layer mentions {' '.join(words)!r}{hint}")
    return tuple(found)


def _plain(text: str) -> str:
    """Lower case, with blanks for what joins the words of a name."""
    return text.lower().replace("_", " ").replace("-", " ")


def _nearest(word: str, known: dict[str, str]) -> list[str]:
    """At most three names that are like `word` or hold a word like it."""
    scores = {
        name: max(difflib.SequenceMatcher(None, word, part).ratio() for part in (plain, *plain.split())) for name, plain in known.items()
    }
    return [name for name in sorted(scores, key=lambda name: -scores[name]) if scores[name] >= 0.7][:3]


def _split(target: str) -> tuple[Path | None, str]:
    """A file and the name after its colon, if `target` is a file."""
    for suffix in SUFFIXES:
        head, dot, tail = target.partition(suffix + ":")
        if dot:
            return Path(head + suffix), tail
        if target.endswith(suffix):
            return Path(target), ""
    path = Path(target)
    if "\n" in target or len(target) >= 200:
        return None, ""
    if path.is_dir() and ("/" in target or target in (".", "..")):
        raise SpecError(f"{target} is a folder; name a file in it, ending in .py (Python) or .layer (text)")
    if path.is_file():
        raise SpecError(f"{target}: a file of layers ends in .py (Python) or .layer (text)")
    return None, ""


def _named(layers: tuple[Layer, ...], name: str, path: Path) -> Layer:
    for layer in layers:
        if layer.name == name:
            return layer
    known = [layer.name for layer in layers]
    raise SpecError(f"{path} has no layer {name!r}{near(name, known)}; it has {listing(known)}")


def read(path: Path) -> str:
    """The text of a user's file. Raises SpecError where it cannot be read or is empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors of Windows begin a file with a mark
    except FileNotFoundError:
        raise SpecError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a folder; name a file in it") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not text (UTF-8)") from None
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror or error}") from None
    if "\x00" in text:
        raise SpecError(f"{path} is not text")
    if not text.strip():
        raise SpecError(
            f"{path} is empty; write an equation a line, such as Y[i,j] = sum(k, X[i,k]*W[k,j])"
            if path.suffix == ".layer"
            else f"{path} is empty; write NAME = Layer(...) in it"
        )
    return text


def from_text(path: Path) -> Layer:
    """The layer of a `.layer` file, named after the file (its name made an identifier: a kernel is a function of that name)."""
    from derive.spec import Layer

    name = re.sub(r"\W", "_", path.stem)
    return Layer.parse(name if name.isidentifier() and not keyword.iskeyword(name) else f"layer_{name}", read(path))


def from_python(path: Path) -> tuple[Layer, ...]:
    """The layers that a user's Python file defines, in order. The file is run: it is the user's own code."""
    from derive.spec import Layer

    read(path)  # for its plain messages about a file that is empty, or is no text
    module = _run(path)
    found: dict[str, Layer] = {}
    for value in vars(module).values():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(item, Layer):
                if item.name in found and found[item.name] != item:
                    raise SpecError(f"{path} has two layers named {item.name!r}; give each its own name")
                found[item.name] = item
    if not found:
        raise SpecError(f"{path} defines no layer; write NAME = Layer('name', [Eq(...)]) at its top level")
    return tuple(found.values())


HINTS = (
    (
        "truth value of Relational",
        "no entry has a value yet: for max(a, b) write Max(a, b), for an if Piecewise((a, condition), (b, True))",
    ),
    ("Idx value too", "a sum runs over the whole axis of its index: write Sum(x, k)"),
    ("Layer.__init__()", "write Layer('name', [Eq(Y[i, j], ...)], wrt=(X,))"),
)
"""What Python or SymPy says of a slip in a file of layers, and what to write instead."""


def _run(path: Path) -> ModuleType:
    """The module that a user's file makes when it is imported, without leaving compiled files beside it."""
    spec = importlib.util.spec_from_file_location(f"layers_of_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(path.resolve().parent))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        if error.filename != os.path.abspath(path):
            raise SpecError(f"{path}{_line(error, path)}: {type(error).__name__} in {error.filename}: {error.msg}") from None
        raise SpecError(f"{path}, line {error.lineno}: this is no Python: {error.msg}") from None
    except SpecError as error:
        raise SpecError(f"{path}{_line(error, path)}: {error}") from None
    except SystemExit:
        raise SpecError(f"{path} ends the program; a file of layers only defines them") from None
    except Exception as error:
        hint = next((f"; {hint}" for said, hint in HINTS if said in str(error)), "")
        raise SpecError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}{hint}") from None
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(path.resolve().parent))
    return module


def _line(error: BaseException, path: Path) -> str:
    """Where in the user's own file an error arose."""
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == os.path.abspath(path)]
    return f", line {own[-1]}" if own else ""


def with_respect_to(layer: Layer, names: str) -> Layer:
    """The layer differentiated by the named inputs alone. Raises SpecError for anything that is not a real input."""

    chosen = list(dict.fromkeys(part for part in names.replace(",", " ").split()))
    if not chosen:
        raise SpecError(f"{layer.name}: --wrt names no input; write --wrt {layer.wrt[0] if layer.wrt else 'X'}")
    able = [t.name for t in layer.tensors if t.name in layer.inputs and t.kind == "real"]
    for name in chosen:
        if name in able:
            continue
        kind = next((t.kind for t in layer.tensors if t.name == name), None)
        if kind is None:
            raise SpecError(f"{layer.name}: --wrt {name}: there is no tensor {name}{near(name, able)}; choose from {listing(able)}")
        if name not in layer.inputs:
            raise SpecError(f"{layer.name}: --wrt {name}: {name} is computed, not an input; choose from {listing(able)}")
        what = "is an integer tensor, and an integer has no derivative" if kind == "int" else "is declared constant"
        raise SpecError(f"{layer.name}: --wrt {name}: {name} {what}; choose from {listing(able)}")
    ordered = [name for name in layer.inputs if name in chosen]
    return layer.changed(wrt=tuple(ordered))
