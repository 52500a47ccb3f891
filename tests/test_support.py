"""What generated modules share, one function at a time: that they hold to the last digits what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from codegen.support import numpy_support

BORDERS = (0.84375, 3.91, 6.0, 5e-324, 1e-310, 0.0, math.inf)


def _units_off(dtype: type) -> float:
    """How far the error function is from that of the math module, in units in the last place, at the worst of many places."""
    ends = [np.nextafter(dtype(x), dtype(way)) for x in BORDERS if x < math.inf for way in (-8, 8)]
    near = np.exp(np.linspace(-740, 2, 20_001))
    x = np.concatenate([np.linspace(-7, 7, 40_001), near, -near, BORDERS, np.negative(BORDERS), ends]).astype(dtype)
    exact = np.array([math.erf(value) for value in x.tolist()])
    found = numpy_support._erf(x)
    assert found.dtype == dtype
    assert np.array_equal(np.signbit(found), np.signbit(x))
    return float((abs(found.astype(np.float64) - exact) / np.spacing(abs(exact).astype(dtype)).astype(np.float64)).max())


def test_the_error_function_is_right_to_the_last_digits() -> None:
    assert _units_off(np.float64) <= 2
    assert _units_off(np.float32) <= 6
    assert np.isnan(numpy_support._erf(np.array([math.nan, 1.0]))).tolist() == [True, False]
    assert numpy_support._erf(np.float16(0.5)).dtype == np.float16


def test_the_error_function_keeps_the_shape_of_what_is_no_row_of_memory() -> None:
    x = np.linspace(-2, 2, 60).reshape(3, 4, 5)
    for view in (x.transpose(2, 0, 1)[::2, :, ::-1], np.broadcast_to(x[0, 0], (3, 5)), x[:0], x[0, 0, 0]):
        assert np.allclose(numpy_support._erf(view), np.vectorize(math.erf, otypes=[float])(view), rtol=1e-15)
    long = np.linspace(-4, 4, 100_003)
    assert np.array_equal(numpy_support._erf(long)[-5:], numpy_support._erf(long[-5:]))


@pytest.mark.parametrize(
    "dtype, off, length", [(np.float64, 1e-13, 5), (np.float64, 1e-13, 6), (np.float64, 1e-13, 9), (np.float32, 1e-5, 6)]
)
def test_a_wrong_digit_in_the_error_function_is_seen(dtype: type, off: float, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right = numpy_support._polynomial

    def wrong(x: np.ndarray, *coefficients: float) -> np.ndarray:
        changed = list(coefficients)
        changed[-2] *= 1 + off * (len(coefficients) == length)
        return right(x, *changed)

    monkeypatch.setattr(numpy_support, "_polynomial", wrong)
    assert _units_off(dtype) > (2 if dtype is np.float64 else 6)
