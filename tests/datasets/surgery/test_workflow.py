import numpy as np
import pytest

from mtal.datasets.surgery.names import PHASES, TOOLS
from mtal.datasets.surgery.workflow import count_bleeds, write_script


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
        assert tuple(p.name for p in phases) == PHASES

    def test_durations_differ_between_patients(self):
        assert script(0).phases[0].end != script(1).phases[0].end

    def test_every_tool_is_used(self):
        used = {use.tool for seed in range(4) for use in script(seed).uses}
        assert used == set(TOOLS)

    @pytest.mark.parametrize("seed", range(5))
    def test_clipper_and_scissors_only_while_clipping_and_cutting(self, seed):
        operation = script(seed)
        phase = operation.named("ClippingCutting")
        for use in operation.uses:
            if use.tool in ("clipper", "scissors"):
                assert phase.start - 0.5 <= use.start < use.end <= phase.end + 0.5

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
def test_two_patients_of_each_five_bleed(seed):
    counts = [count_bleeds(seed, patient) for patient in range(15)]
    assert [sorted(counts[i : i + 5]) for i in (0, 5, 10)] == [[0, 0, 0, 1, 2]] * 3


class TestHandTime:
    def test_agrees_with_a_sum_over_small_steps(self):
        operation = script()
        steps = np.arange(0, 60, 0.01) + 0.005
        moving = [not any(start < t < end for start, end in operation.pauses) for t in steps]
        assert operation.pauses
        assert operation.hand_time(60.0) == pytest.approx(0.01 * sum(moving), abs=0.03)

    def test_stands_still_in_pauses(self):
        operation = script(bleeds=0)
        for start, end in operation.pauses:
            assert end - start > 3
            assert operation.hand_time(start) == pytest.approx(operation.hand_time(end))


class TestGaze:
    def sites(self, operation):
        names = {p.site for p in operation.phases} | {g.site for g in operation.glances}
        return {name: np.array([i, -i], float) for i, name in enumerate(sorted(names))}

    def test_rests_on_the_site_of_the_phase(self):
        operation = script()
        sites = self.sites(operation)
        for phase in operation.phases:
            point, zoom = operation.gaze(sites, phase.at(0.55))
            np.testing.assert_allclose(point, sites[phase.site])
            assert zoom == pytest.approx(phase.zoom)

    def test_glances_elsewhere(self):
        operation = script()
        sites = self.sites(operation)
        assert {g.site for g in operation.glances} == {"ligament", "vein"}
        for glance in operation.glances:
            point, zoom = operation.gaze(sites, (glance.start + glance.end) / 2)
            np.testing.assert_allclose(point, sites[glance.site])
            assert zoom == pytest.approx(glance.zoom)


class TestProgress:
    def test_the_duct_is_bare_only_while_it_is_clipped(self):
        operation = script()
        clipping = operation.named("ClippingCutting")
        assert operation.opened(clipping.start) == 0
        assert operation.opened(clipping.at(0.5)) == 1
        assert not operation.cut(clipping.at(0.5))
        assert operation.cut(clipping.end)

    def test_the_gallbladder_is_peeled_and_then_bagged(self):
        operation = script()
        dissection, packaging = operation.named("GallbladderDissection"), operation.named("GallbladderPackaging")
        assert [operation.peeled(t) for t in (dissection.start, dissection.end)] == [0, 1]
        assert [operation.bagged(t) for t in (packaging.start, packaging.end)] == [0, 1]

    def test_the_lens_leaves_and_fogs_on_its_return(self):
        operation = next(s for seed in range(9) if len((s := script(seed)).withdrawals) == 2)
        start, end = operation.withdrawals[0]
        assert [operation.withdrawn(t) for t in (start, (start + end) / 2, end)] == pytest.approx([0, 1, 0])
        assert operation.fog(end) == pytest.approx(1)
        assert operation.fog(end + 5) < 0.05
        assert operation.withdrawn(operation.phases[-1].end) > 0.9  # the operation ends outside
