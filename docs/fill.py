"""Fills the blocks of the pages below docs/ with what the commands above them print: `python docs/fill.py [--check]`.

A block is opened by a comment that holds a command, <!-- $ derive linear --proof db --format markdown -->, and closed by
<!-- end -->. What stands between is replaced by the command's output.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import runpy
import shlex
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"(<!-- \$ (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def printed(command: str) -> str:
    """What `derive ...` or `python FILE` prints, run in this process from the repository's root. Raises RuntimeError where it fails."""
    program, *words = shlex.split(command)
    out = io.StringIO()
    before = os.getcwd()
    os.chdir(DOCS.parent)
    try:
        with contextlib.redirect_stdout(out):
            if program == "python":
                runpy.run_path(words[0], run_name="__main__")
                failed = 0
            else:
                from derive.__main__ import main as derive

                failed = derive(words)
    finally:
        os.chdir(before)
    if failed:
        raise RuntimeError(f"{command} ends with exit code {failed}")
    return out.getvalue() if program == "derive" else f"```text\n{out.getvalue()}```\n"


def filled(text: str) -> str:
    """The page with every block's output as it is now."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{printed(found[2])}\n{found[3]}", text)


def main(arguments: list[str]) -> int:
    """Write the pages anew; with --check write nothing, print what would change, and return 1 if anything would."""
    changed = 0
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text("utf-8")
        after = filled(before)
        if after == before:
            continue
        changed += 1
        name = str(path.relative_to(DOCS.parent))
        if "--check" in arguments:
            sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} (as printed now)"))
        else:
            path.write_text(after, "utf-8")
            print(f"wrote {name}")
    if "--check" in arguments and changed:
        print(f"{changed} pages are out of date; run python docs/fill.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
