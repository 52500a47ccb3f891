"""The README's own snippets: every command prints what the README says, every Python block runs, in the order they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(console|python)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it stands for (```python my_layers.py), its text."""

    language: str
    file: str | None
    text: str


BLOCKS = tuple(Block(language, file or None, text) for language, file, text in BLOCK.findall((ROOT / "README.md").read_text("utf-8")))


def commands(text: str) -> list[tuple[str, list[str]]]:
    """A console block as (command, the lines it should print)."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


def matches(printed: list[str], expected: list[str]) -> bool:
    """Whether the lines agree; a line of three dots stands for any number of lines."""
    if not expected:
        return not printed
    if expected[0].strip() == "...":
        return any(matches(printed[n:], expected[1:]) for n in range(len(printed) + 1))
    return bool(printed) and printed[0].rstrip() == expected[0].rstrip() and matches(printed[1:], expected[1:])


def run(command: str, folder: Path) -> str:
    done = finished(command, folder)
    return done.stdout + done.stderr


def finished(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command.split("  #")[0])
    if words[0] in ("derive", "codegen"):
        words = [sys.executable, "-m", words[0], *words[1:]]
    elif words[0] in ("python", "pytest"):
        words = [sys.executable, *(["-m", "pytest"] if words[0] == "pytest" else []), *words[1:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=300, check=False)


def test_every_snippet_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    assert len(BLOCKS) >= 5
    scope: dict[str, object] = {}
    sys.path.insert(0, str(tmp_path))
    try:
        for block in BLOCKS:
            if block.file is not None:
                (tmp_path / block.file).write_text(block.text, "utf-8")
            elif block.language == "python":
                exec(compile(block.text, "README.md", "exec"), scope)
            elif block.language == "console":
                for command, expected in commands(block.text):
                    if command.split()[0] in ("make", "git", "pip"):
                        continue
                    printed = run(command, tmp_path).splitlines()
                    while expected and not expected[-1].strip():
                        expected.pop()
                    while printed and not printed[-1].strip():
                        printed.pop()
                    assert not expected or matches(printed, expected), f"$ {command}\n" + "\n".join(printed)
    finally:
        sys.path.remove(str(tmp_path))


def test_four_commands_lead_from_nothing_to_kernels_that_pass(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.text.startswith("$ derive new")]
    four = [command for command, _ in commands(block.text)]
    assert [command.split()[0] for command in four] == ["derive", "derive", "codegen", "pytest"]
    for command in four:
        done = finished(command, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "failed" not in done.stdout and "skipped" not in done.stdout


def test_every_make_target_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"^\$ make (\w+)", text, re.MULTILINE)):
        if shutil.which("make"):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text("utf-8")))))
def test_every_file_the_readme_links_to_exists(link: str) -> None:
    assert (ROOT / link).exists(), link
