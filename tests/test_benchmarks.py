"""The benchmark: every row of the table with its goals, everyone computing the same, and the words for who is missing."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contestants, counting, goals, machine, measure, other_blas, report, rows, timing
from benchmarks.__main__ import main

torch = pytest.importorskip("torch")
LARGE = (
    *("linear", "GELU MLP", "SwiGLU MLP", "linear + cross-entropy", "attention T2048", "causal attention T2048", "attention T8192"),
    *("cross-entropy", "softmax", "LayerNorm", "RMSNorm", "MSE"),
)
SMALL = ("linear", "softmax", "MSE", "cross-entropy", "LayerNorm", "RMSNorm", "attention T32")
LIMITS = machine.Machine("a processor", 2, "3", {}, "a BLAS", None, {"NumPy": 100.0}, {"NumPy": 10.0}, 64)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing large is measured, and no process started."""
    monkeypatch.setattr(machine, "measured", lambda _: LIMITS)
    monkeypatch.setattr(other_blas, "measured", lambda asked, *_: iter([other_blas.Line(row.key, {}, None, [], []) for row in asked]))


def test_every_row_of_the_table_is_there_and_has_its_goals() -> None:
    assert tuple(row.name for row in rows.rows("large")) == LARGE
    quick = rows.chosen(quick=True)
    assert set(SMALL) <= {row.name for row in quick if row.size == "small"}
    assert set(rows.QUICK_MID) == {row.name for row in quick if row.size == "mid"}
    for row in rows.chosen():
        found = goals.judged(measure.Result(row, {}), pinned=False)
        assert {1, 3} <= {verdict.number for verdict in found}, row.key
        assert (2 in {verdict.number for verdict in found}) == (
            row.size == "small" or (row.size == "large" and row.layer in goals.NUMPY_LARGE)
        )
        assert all(verdict.met is None and verdict.word == "not measured" for verdict in found)


def test_the_kernels_and_the_forms_by_hand_compute_what_eager_does() -> None:
    for row in rows.rows("small"):
        given = rows.values(row)
        expected = measure.flat(contestants.EVERY["eager"](row, given)())
        for name in (*contestants.OURS, *goals.BY_HAND, "plain"):
            try:
                measure._equal(measure.flat(contestants.EVERY[name](row, given)()), expected)
            except contestants.Skipped as reason:
                assert str(reason) in ("the same as eager", "not written by hand", "threadpoolctl is not installed") or "pair" in name, name


def test_one_that_computes_something_else_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in rows.rows("small") if row.layer == "softmax")
    right = contestants.EVERY["ours NumPy"]
    monkeypatch.setitem(contestants.EVERY, "JAX", lambda row, given: lambda: (right(row, given)()[0], -right(row, given)()[1]))
    found = measure.one(row, ("eager", "JAX"), quick=True)
    assert set(found.seconds) == {"eager"}
    assert "differs from eager" in found.skipped["JAX"]


def test_who_is_missing_is_skipped_by_name_and_the_json_parses(
    quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = contestants._import

    def without(name: str, package: str = "") -> Any:
        return imported("no_such_module", name) if name == "jax" else imported(name, package)

    monkeypatch.setattr(contestants, "_import", without)
    assert main(["mse", "--size", "small", "--quick", "--json", "--only", "ours NumPy,ours torch,by hand NumPy,eager,JAX"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert row["row"] == "MSE, small" and row["skipped"]["JAX"] == "jax is not installed"
    assert {"ours NumPy", "ours torch", "eager"} <= set(row["medians"])
    assert {goal["number"] for goal in found["goals"]} == {1, 2, 3}
    assert all(goal["verdict"] in ("met", "short", "not measured") for goal in found["goals"])
    short = {(goal["row"], goal["ours"]) for goal in found["goals"] if goal["verdict"] == "short"}
    assert {(each["row"], each["ours"]) for each in found["short"]} == short, "each that falls short has its profile"
    assert all(abs(sum(each["parts"].values()) - 1) < 1e-6 for each in found["short"])


def test_a_slow_one_sits_rounds_out_and_ratios_are_of_the_rounds_both_were_in(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    took = {"quick": 2.0, "middling": 6.0, "slow": 30.0}
    monkeypatch.setattr(timing, "_sample", lambda run, number: run())
    runs = {name: lambda name=name: order.append(name) or took[name] * (len(order) if name == "quick" else 1) for name in took}
    times = timing.take_turns(runs, 5, 10.0)
    assert order == [*took, "quick", "middling", *took], "three rounds at the least; the slow one sits the second out"
    assert times["slow"] == [30.0, None, 30.0] and None not in times["quick"]
    assert timing.median_ratio(times["quick"], times["slow"]) == (30.0 / 2.0 + 30.0 / 12.0) / 2
    assert timing.median(times["slow"]) == 30.0
    order.clear()
    assert all(len(each) == 5 and None not in each for each in timing.take_turns(runs, 5, 1e9).values()), "all fit in"


def test_what_was_measured_is_kept_where_it_is_interrupted(
    quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, result = tmp_path / "page.md", measure.Result(rows.rows("small")[0], {"ours NumPy": [1e-5], "eager": [3e-5]})
    pages = []

    def one(row: rows.Row, *_: Any) -> measure.Result:
        if pages:
            pages.append(page.read_text(encoding="utf-8"))
            raise KeyboardInterrupt
        pages.append("")
        return result

    monkeypatch.setattr(measure, "one", one)
    monkeypatch.setattr("benchmarks.reasons.shares", None)
    assert main(["--size", "small", "--only", "ours NumPy,eager", "--markdown", str(page)]) == 130
    said = capsys.readouterr()
    assert "[1/22] linear, small: " in said.err and "ours NumPy 3.00" in said.err
    assert "interrupted; still to come: GELU MLP, small," in said.err
    assert "linear, small" in said.out
    assert pages[1] == page.read_text(encoding="utf-8") and "**Not done yet.** Still to come: GELU MLP, small; " in pages[1]
    assert [each.name for each in tmp_path.iterdir()] == ["page.md"]
    assert main(["mse", "--markdown", str(tmp_path / "none" / "page.md")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_wrong_layer_or_contestant_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atention"]) == 2
    assert "no row of the benchmark is called atention; write one of linear," in capsys.readouterr().err
    assert main(["mse", "--only", "numpi"]) == 2
    assert "no contestant is called numpi; write some of ours NumPy," in capsys.readouterr().err


def test_work_is_counted_from_the_program() -> None:
    linear, attention = (next(row for row in rows.rows("small") if row.layer == name) for name in ("linear", "attention"))
    assert counting.work(linear).flop == 3 * 2 * 32 * 64 * 64
    assert counting.work(attention).flop == 6 * 2 * 32 * 32 * 16 + 2 * 32 * 16  # and D, the dot products of dO and O


def test_a_plot_and_a_page_have_every_row() -> None:
    shown = rows.rows("small")[:3]
    results = [measure.Result(row, {"ours NumPy": [1e-5, 2e-5], "eager": [3e-5, 4e-5], "by hand NumPy": [1e-5, 1e-5]}) for row in shown]
    from benchmarks.plot import Panel, bars, panels

    drawn = bars(results)
    ET.fromstring(drawn)
    page = report.markdown(report.Report(LIMITS, results), "make bench")
    assert all(row.key in drawn and row.key in page for row in shown)
    ET.fromstring(panels([Panel("a & b", "T", "s", {"ours": {2: 0.1, 4: 0.3}, "eager": {2: 0.2, 4: 0.9}})] * 3))
