"""Segments of long recordings, their seams, and the noise that they share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.audio import Samples
from speechduet.enhancement.segments import Segmentation

HOP = 8

plans = st.builds(
    lambda samples, frames, overlap: Segmentation.plan(samples, HOP, frames, overlap),
    st.integers(1, 5000),
    st.integers(16, 64),
    st.integers(1, 4),
)


def pieces(plan: Segmentation, whole: Samples) -> list[Samples]:
    padded = np.pad(whole, ((0, 0), (0, plan.length)))
    return [padded[:, start : start + plan.length] for start in plan.starts]


@settings(deadline=None)
@given(plan=plans)
def test_segments_cover_the_recording(plan: Segmentation) -> None:
    assert plan.starts[0] == 0
    assert all(start % HOP == 0 for start in plan.starts)
    assert plan.samples <= plan.starts[-1] + plan.length < plan.samples + HOP
    assert all(
        before < start <= before + plan.length - plan.fade
        for before, start in zip(plan.starts, plan.starts[1:], strict=False)
    )


@settings(deadline=None)
@given(plan=plans)
def test_segments_of_one_recording_join_to_it(plan: Segmentation) -> None:
    whole = np.random.default_rng(0).standard_normal((2, plan.samples)).astype(np.float32)
    joined = np.concatenate(list(plan.join(iter(pieces(plan, whole)))), axis=1)
    np.testing.assert_allclose(joined, whole, atol=1e-6)


def test_a_fade_rises_from_one_segment_to_the_next() -> None:
    plan = Segmentation.plan(1000, HOP, 100, 20)
    assert len(plan.starts) == 2
    ones = np.ones((1, plan.length), np.float32)
    (joined,) = np.concatenate(list(plan.join([0 * ones, ones])), axis=1)
    _, border, _ = plan.borders()
    assert joined[: border - plan.fade // 2].max() == 0
    assert joined[border + plan.fade // 2 :].min() == 1
    assert joined[border] == pytest.approx(0.5, abs=0.02)
    assert (np.diff(joined) >= 0).all()


def test_the_edges_of_segments_do_not_matter() -> None:
    plan = Segmentation.plan(3000, HOP, 100, 20)
    marked = np.zeros((1, plan.length), np.float32)
    marked[:, : 4 * HOP] = marked[:, -4 * HOP :] = 1
    joined = np.concatenate(list(plan.join([marked] * len(plan.starts))), axis=1)[0]
    assert joined[4 * HOP : plan.starts[-1] + plan.length - 5 * HOP].max() == 0


def test_what_fits_one_segment_is_one_piece() -> None:
    samples = 16 * HOP - 1
    assert Segmentation.plan(samples, HOP, 16, 2) == Segmentation(samples, samples, (0,), 0)
    assert len(Segmentation.plan(16 * HOP, HOP, 16, 2).starts) == 2


def test_joining_holds_two_segments_at_most() -> None:
    plan = Segmentation.plan(100_000, HOP, 32, 4)
    made = taken = 0

    def make():
        nonlocal made
        for _ in plan.starts:
            made += 1
            yield np.zeros((1, plan.length), np.float32)

    for block in plan.join(make()):
        taken += block.shape[1]
        assert plan.starts[made - 1] <= taken
    assert taken == 100_000


def test_work_is_linear_in_length() -> None:
    evaluated = {}
    for minutes in (1, 10, 60, 600):
        plan = Segmentation.plan(minutes * 60 * 16_000, 256, 1000, 125)
        evaluated[minutes] = len(plan.starts) * plan.length / (minutes * 60 * 16_000)
    # Overlaps add their share, an eighth, and rounding up to whole segments a part of one.
    assert all(1 < each < 1.15 + 0.27 / minutes for minutes, each in evaluated.items())
    assert evaluated[600] == pytest.approx(evaluated[60], rel=0.01)


@settings(deadline=None)
@given(samples=st.integers(1, 5000), frames=st.integers(16, 64), overlap=st.integers(1, 4))
def test_segments_are_as_few_as_the_overlap_allows(samples: int, frames: int, overlap: int) -> None:
    plan = Segmentation.plan(samples, HOP, frames, overlap)
    fewer, advance = len(plan.starts) - 1, (frames - 1 - overlap) * HOP
    assert not fewer or plan.length + (fewer - 1) * advance < samples


def test_a_fade_takes_half_of_the_overlap() -> None:
    assert Segmentation.plan(1000, HOP, 100, 20).fade == 10 * HOP


def test_borders_run_from_the_first_sample_to_the_last() -> None:
    first, *_, last = Segmentation.plan(3000, HOP, 100, 20).borders()
    assert (first, last) == (0, 3000)


def test_joining_keeps_32_bits() -> None:
    plan = Segmentation.plan(3000, HOP, 100, 20)
    whole = np.ones((1, 3000), np.float32)
    assert {block.dtype for block in plan.join(pieces(plan, whole))} == {np.dtype(np.float32)}
