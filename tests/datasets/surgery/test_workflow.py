import numpy as np
import pytest

from mtal.datasets.surgery.names import PHASES, TOOLS
from mtal.datasets.surgery.workflow import count_bleeds, gaze, hand_clock, write_script


def script(seed=0, seconds=75.0, bleeds=1):
    return write_script(np.random.default_rng(seed), seconds, bleeds)


class TestScript:
    @pytest.mark.parametrize("seed", range(5))
    def test_phases_follow_each_other(self, seed):
        phases = script(seed).phases
        assert phases[0].start == 0
        assert phases[-1].end == pytest.approx(75)
        assert [p.end for p in phases[:-1]] == [p.start for p in phases[1:]]
        assert all(p.end > p.start for p in phases)
        assert {p.name for p in phases} == set(PHASES)

    def test_durations_differ_between_patients(self):
        assert script(0).phases[0].end != script(1).phases[0].end

    def test_every_tool_is_used(self):
        used = {use.tool for seed in range(4) for use in script(seed).uses}
        assert used == set(TOOLS)

    @pytest.mark.parametrize("seed", range(5))
    def test_clipper_and_scissors_only_while_clipping_and_cutting(self, seed):
        operation = script(seed)
        phase = next(p for p in operation.phases if p.name == "clipping_cutting")
        for use in operation.uses:
            if use.tool in ("clipper", "scissors"):
                assert phase.start - 0.5 <= use.start < use.end <= phase.end

    @pytest.mark.parametrize("bleeds", [0, 1, 2])
    def test_bleeding_begins_under_a_hook_and_is_washed_by_an_irrigator(self, bleeds):
        operation = script(bleeds=bleeds)
        assert len(operation.bleeds) == bleeds
        for bleed in operation.bleeds:
            cause = operation.uses[bleed.cause]
            assert cause.tool == "hook"
            assert cause.start < bleed.start < cause.end
            assert bleed.start < bleed.sealed < bleed.washing < bleed.washed
            assert any(u.tool == "irrigator" and u.start < bleed.washing < u.end for u in operation.uses)

    def test_shorter_video_is_the_same_operation_faster(self):
        whole, fast = script(seconds=75.0), script(seconds=7.5)
        np.testing.assert_allclose([p.end for p in fast.phases], [p.end / 10 for p in whole.phases])
        np.testing.assert_allclose([b.start for b in fast.bleeds], [b.start / 10 for b in whole.bleeds])
        assert [u.tool for u in fast.uses] == [u.tool for u in whole.uses]


def test_tool_enters_and_leaves():
    use = script().uses[0]
    middle = (use.start + use.end) / 2
    assert [use.inserted(t, 0.5) for t in (use.start, use.start + 0.25, middle, use.end)] == pytest.approx(
        [0, 0.5, 1, 0]
    )


@pytest.mark.parametrize("seed", range(3))
def test_any_four_patients_in_a_block_bleed_five_times(seed):
    counts = [count_bleeds(seed, patient) for patient in range(12)]
    assert [sum(counts[i : i + 4]) for i in (0, 4, 8)] == [5, 5, 5]
    assert {counts.count(0), counts.count(1), counts.count(2)} == {3, 6}


class TestHandClock:
    def test_agrees_with_a_sum_over_small_steps(self):
        operation = script()
        steps = np.arange(0, 60, 0.01) + 0.005
        summed = sum(operation.phase(t).liveliness * 0.01 for t in steps)
        assert hand_clock(operation.phases, 60.0) == pytest.approx(summed, abs=0.02)

    def test_stands_still_while_all_wait(self):
        operation = script()
        idle = next(p for p in operation.phases if p.name == "idle")
        assert hand_clock(operation.phases, idle.start) == hand_clock(operation.phases, idle.end)


def test_gaze_rests_on_the_site_of_the_phase():
    operation = script()
    names = {p.site for p in operation.phases}
    sites = {name: np.array([i, -i], float) for i, name in enumerate(sorted(names))}
    for phase in operation.phases:
        point, zoom = gaze(operation.phases, sites, phase.start + 0.5 * (phase.end - phase.start))
        np.testing.assert_allclose(point, sites[phase.site])
        assert zoom == pytest.approx(phase.zoom)
