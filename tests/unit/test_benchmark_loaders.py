"""The benchmark of the loaders runs on little data, without peers, and says so."""

from __future__ import annotations

from benchmarks.data.loaders import Scale, measure
from benchmarks.line import Line


def test_every_measure_has_a_line_and_what_was_not_measured_is_not_reached() -> None:
    lines = measure(None, rounds=1, scale=Scale(images=1000, tokens=2000, cap_mb=20))
    assert all(isinstance(line, Line) for line in lines)
    assert [line.to_reach.split(",")[0] for line in lines] == ["0.8", "0.65", "", "5", "1.4", "2.5", "4", "4", "0.8"]
    for line in lines:
        if "not installed" in line.measured:
            assert line.reached is None
    assert sum("not installed" in line.measured for line in lines) == 5
    assert "MB of 20" in lines[-1].measured
