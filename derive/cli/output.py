"""Where output goes: a file written whole or not at all, a screen in colour, or a pipe in plain text."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from derive.errors import SpecError
from derive.render.text import WIDTH, Line, plain

STYLES = {
    "title": "bold",
    "section": "bold cyan",
    "proof": "bold",
    "reason": "italic dim",
    "shape": "dim",
    "name": "",
    "plain": "",
    "good": "green",
    "bad": "bold red",
}


def on_screen() -> bool:
    return sys.stdout.isatty()


def width() -> int:
    """The columns of the screen; a fixed number where output is no screen, so that it is the same everywhere."""
    return max(40, min(shutil.get_terminal_size((WIDTH, 24)).columns, 140)) if on_screen() else WIDTH


def speaks_unicode() -> bool:
    """Whether what is printed can hold the signs of the Unicode notation."""
    try:
        "Σ∂δᵀ∘−√×′⎡".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def show(lines: Iterable[Line]) -> None:
    """Print marked lines: in colour on a screen, else plain."""
    found = list(lines)
    if not on_screen() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        sys.stdout.write(plain(found))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in found:
        console.print(Text.assemble(*((text, STYLES.get(role, "")) for text, role in line)))


def write(path: Path, content: str | bytes, fresh: bool = False) -> int:
    """Write a file whole or not at all and return its bytes; a `fresh` one replaces none. Raises SpecError where it cannot be written.

    Where a link stands, the file it names is replaced, and the link stays. What is no file, such as a pipe or a device, cannot be
    replaced: it is written into.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    target = path
    try:
        if path.is_dir():
            raise SpecError(f"{path} is a folder; name a file: -o {path / 'proof.txt'}")
        if fresh:
            _whole(path, data, _place)
        elif path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            target = followed(path)
            _whole(target, data, os.replace)
    except BrokenPipeError:
        raise  # the reader of a pipe has gone, which is no mistake
    except FileExistsError:
        raise SpecError(f"{path} is there already, and is left as it is; choose another name") from None
    except FileNotFoundError:
        raise SpecError(f"{path} cannot be written: there is no folder {target.parent}") from None
    except OSError as error:
        raise SpecError(f"{path} cannot be written: {error.strerror or error}") from None
    return len(data)


def followed(path: Path) -> Path:
    """What a symbolic link names in the end, which need not be there; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _whole(path: Path, data: bytes, put: Callable[[str, Path], None]) -> None:
    """Write beside `path`, then `put` what was written in its place."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(draft, _mode(path))
        put(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _place(draft: str, path: Path) -> None:
    """Give a file its name where none has it yet. Raises FileExistsError where one has."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system that has no links.
        if path.exists():
            raise FileExistsError(str(path)) from None
        os.replace(draft, path)
        return
    os.unlink(draft)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
