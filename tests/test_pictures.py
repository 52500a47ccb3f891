"""Pictures say what the derivation says, nothing in them overlaps or falls off, and they are well-formed SVG and TikZ."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from pages import derivation, finest

from derive.engine import Derivation
from derive.indices import tensors_in
from derive.layers import names
from derive.matrix import Product, Transpose, Whole
from derive.recurrence import groups
from derive.render.blocks import Figures
from derive.render.boxes import boxes
from derive.render.graph import graph
from derive.render.notation import context
from derive.render.picture import Box, Curve, Picture, Text, svg, tikz


def drawn(derivation: Derivation) -> Picture:
    found = graph(derivation, context(t.name for t in derivation.tensors))
    assert found is not None
    return found


def label(text: Text) -> str:
    return "".join(span for span, _ in text.label.spans)


def test_every_tensor_has_a_box_and_every_use_an_edge() -> None:
    for name in names():
        layer = derivation(name)
        picture = drawn(layer)
        uses = {(source, e.target.tensor) for e in layer.layer.equations for source in tensors_in(e.value)}
        nodes = {tensor for use in uses for tensor in use} | {e.target.tensor for e in layer.layer.equations}
        assert sum(isinstance(item, Box) for item in picture.items) == len(nodes), name
        curves = [item for item in picture.items if isinstance(item, Curve)]
        forward, gradients = ([i for i in curves if i.kind == kind] for kind in ("forward", "gradient"))
        if not any(group.recurs for group in groups(layer.layer.equations)):  # there an edge leads back up
            assert all(i.points[0][1] < i.points[-1][1] for i in forward), name
            assert all(i.points[0][1] > i.points[-1][1] for i in gradients), name
        assert len(forward) == len(uses) and len(forward) + len(gradients) == len(curves), name
        known = {p.name.removesuffix("_total") for p in layer.lemmas} | set(layer.upstream)
        both = sum(f"d{source}" in known and f"d{target}" in known for source, target in uses)
        assert len(gradients) == both + len(layer.layer.outputs), name


def test_boxes_do_not_overlap_and_nothing_falls_off() -> None:
    for name in names():
        figures = [block for block in finest(name).blocks if isinstance(block, Figures)]
        for picture in (picture for figure in figures for picture in figure.pictures):
            rectangles = [item for item in picture.items if isinstance(item, Box)]
            for a, b in itertools.combinations(rectangles, 2):
                apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
                assert apart, (name, a, b)
            for item in picture.items:
                points = item.points if isinstance(item, Curve) else ((item.x, item.y),)
                assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in points), (name, item)
            assert ElementTree.fromstring(svg(picture, alone=True)).tag.endswith("svg")
            assert tikz(picture).count("{") == tikz(picture).count("}")


def test_a_product_of_boxes_has_equal_sides_where_axes_meet() -> None:
    where = context(["X", "dY", "dW"])
    product = Product((Transpose(Whole("X", ("B", "N"))), Whole("dY", ("B", "M"))))
    picture = boxes("dW", product, where, ("B", "N", "M"))
    assert picture is not None
    result, left, right = (item for item in picture.items if isinstance(item, Box))
    assert left.width == right.height, "the axis that is summed away"
    assert (result.height, result.width) == (left.height, right.width)
    assert len({left.width, left.height, right.width}) == 3, "axes that may differ are drawn differently"
    names = [label(item) for item in picture.items if isinstance(item, Text) and item.kind == "plain"]
    assert names == ["dW", "=", "X⊤", "dY"]
    axes = [label(item) for item in picture.items if isinstance(item, Text) and item.kind == "soft"]
    assert axes == ["N", "M", "N", "B", "B", "M"]


def test_the_five_results_of_attention_have_their_boxes() -> None:
    (figure,) = (block for block in finest("attention").blocks if isinstance(block, Figures) and block.name == "shapes")
    results = [
        next(label(item) for item in picture.items if isinstance(item, Text) and item.kind == "plain") for picture in figure.pictures
    ]
    assert results == ["dP", "dV", "dS", "dQ", "dK"]
