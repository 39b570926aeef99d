"""What every signal that looks at the whole pool must do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from axioms.heads import KINDS, posterior

from mtal.acquisition.moments import Moments
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput

FRAMES = 24


def random_posterior(family, *shape, seed=0, holes=True, members=()):
    """Of ``shape`` [frames, cells, classes]; about a third of the cells of a pixel head do not count."""
    generator = torch.Generator().manual_seed(seed)
    probs = posterior(family, 2 * torch.randn(*members, *shape, generator=generator, dtype=torch.float64))
    valid = None
    if shape[1] > 1 and holes:
        valid = torch.rand(*shape[:2], generator=generator) > 0.35
        valid[:, 0] = True
    return HeadOutput(family, probs, valid)


def random_view(family="categorical", cells=1, frames=FRAMES, labelled=7, classes=3, features=4, seed=0, holes=True):
    """A view that brings everything: three videos of frames a second apart, two earlier rounds, five members."""
    generator = torch.Generator().manual_seed(seed + 1)
    pool = random_posterior(family, frames, cells, classes, seed=seed, holes=holes)
    members = random_posterior(family, frames, cells, classes, seed=seed + 2, holes=holes, members=(5,))
    return PoolView(
        torch.randn(frames, features, generator=generator, dtype=torch.float64),
        torch.randn(labelled, features, generator=generator, dtype=torch.float64) + 0.5,
        pool,
        random_posterior(family, labelled, cells, classes, seed=seed + 3, holes=holes),
        replace(members, valid=pool.valid),
        tuple(random_posterior(family, frames, cells, classes, seed=seed + r).probs for r in (4, 5)),
        Moments(np.arange(frames) // 8, np.arange(frames) % 8),
        others=tuple(torch.rand(n, 5, generator=generator, dtype=torch.float64) for n in (frames, labelled)),
        seed=seed,
    )


def rows(head, index):
    return replace(head, probs=head.probs[..., index, :, :], valid=None if head.valid is None else head.valid[index])


def candidates(view, index):
    """The candidates ``index`` of a view, in that order."""
    return replace(
        view,
        features=view.features[index],
        posterior=rows(view.posterior, index),
        members=rows(view.members, index),
        previous=tuple(earlier[index] for earlier in view.previous),
        moments=Moments(view.moments.video[index], view.moments.time_s[index]),
        others=(view.others[0][index], view.others[1]),
    )


def labelled(view, index):
    """The same candidates beside the labelled frames ``index``."""
    return replace(
        view,
        labelled_features=view.labelled_features[index],
        labelled_posterior=rows(view.labelled_posterior, index),
        others=(view.others[0], view.others[1][index]),
    )


def cast(view, dtype):
    def head(output):
        return replace(output, probs=output.probs.to(dtype))

    return replace(
        view,
        features=view.features.to(dtype),
        labelled_features=view.labelled_features.to(dtype),
        posterior=head(view.posterior),
        labelled_posterior=head(view.labelled_posterior),
        members=head(view.members),
        previous=tuple(earlier.to(dtype) for earlier in view.previous),
        others=tuple(answers.to(dtype) for answers in view.others),
    )


@pytest.mark.parametrize(("family", "cells"), KINDS)
class PoolSignalAxioms:
    signal = None
    drawing = None  # the same signal, set to draw a few of the frames

    @property
    def signals(self):
        return [self.signal] if self.drawing is None else [self.signal, self.drawing]

    def test_one_value_per_frame_within_its_range(self, family, cells):
        values = self.signal(random_view(family, cells))
        assert values.shape == (FRAMES,)
        assert values.dtype == torch.float64
        low, high = self.signal.range
        assert ((values >= low) & (values <= high)).all()
        assert len(values.unique()) > 1

    def test_order_of_frames_does_not_matter(self, family, cells):
        view = random_view(family, cells)
        order = torch.randperm(FRAMES, generator=torch.Generator().manual_seed(5))
        for signal in self.signals:
            torch.testing.assert_close(signal(candidates(view, order)), signal(view)[order])

    def test_order_of_labelled_frames_does_not_matter(self, family, cells):
        view = random_view(family, cells)
        for signal in self.signals:
            torch.testing.assert_close(signal(labelled(view, [4, 2, 6, 0, 1, 5, 3])), signal(view))

    def test_duplicates_score_the_same(self, family, cells):
        view = candidates(random_view(family, cells), [*range(FRAMES), 3, 3, 17])
        for signal in self.signals:
            values = signal(view)
            torch.testing.assert_close(values[[24, 25, 26]], values[[3, 3, 17]], rtol=1e-12, atol=1e-12)

    def test_order_of_duplicates_does_not_matter(self, family, cells):
        view = candidates(random_view(family, cells), [*range(FRAMES), 3, 3, 17])
        order = torch.randperm(FRAMES + 3, generator=torch.Generator().manual_seed(6))
        for signal in self.signals:
            torch.testing.assert_close(signal(candidates(view, order)), signal(view)[order])

    def test_single_precision_is_close(self, family, cells):
        view = random_view(family, cells)
        for signal in self.signals:
            torch.testing.assert_close(signal(cast(view, torch.float32)), signal(view), rtol=1e-4, atol=1e-5)

    def test_half_precision_is_close(self, family, cells):
        view = random_view(family, cells)
        close = torch.isclose(self.signal(cast(view, torch.float16)), self.signal(view), rtol=0.02, atol=0.01)
        assert close.sum() >= FRAMES - 1  # an answer on the edge may flip

    def test_same_seed_same_values(self, family, cells):
        view = random_view(family, cells)
        for signal in self.signals:
            assert torch.equal(signal(view), signal(view))

    def test_other_seeds(self, family, cells):
        view = random_view(family, cells)
        assert torch.equal(self.signal(view), self.signal(replace(view, seed=11)))
        if self.drawing is not None:
            assert not torch.equal(self.drawing(view), self.drawing(replace(view, seed=11)))

    def test_global_random_state_is_neither_read_nor_moved(self, family, cells):
        view = random_view(family, cells)
        for signal in self.signals:
            first = signal(view)
            torch.manual_seed(123)
            np.random.seed(123)  # noqa: NPY002
            states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
            assert torch.equal(signal(view), first)
            assert torch.equal(torch.get_rng_state(), states[0])
            assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002

    def test_view_is_left_as_it_was(self, family, cells):
        view, same = random_view(family, cells), random_view(family, cells)
        for signal in self.signals:
            signal(view)
        assert torch.equal(view.features, same.features)
        assert torch.equal(view.labelled_features, same.labelled_features)
        for name in ("posterior", "labelled_posterior", "members"):
            assert torch.equal(getattr(view, name).probs, getattr(same, name).probs)
        assert all(torch.equal(a, b) for a, b in zip(view.previous, same.previous, strict=True))

    def test_missing_needs_are_named(self, family, cells):
        for need in self.signal.needs:
            with pytest.raises(ValueError, match=rf"signal {self.signal.name} needs PoolView\.{need}$"):
                self.signal(replace(random_view(family, cells), **{need: None}))

    def test_what_it_does_not_need_is_not_read(self, family, cells):
        view = random_view(family, cells)
        bare = PoolView(**{need: getattr(view, need) for need in self.signal.needs})
        assert torch.equal(self.signal(bare), self.signal(view))

    def test_columns_that_belong_to_no_head_read_no_posterior(self, family, cells):
        of_a_head = {"posterior", "labelled_posterior", "members", "previous"}
        assert bool(self.signal.needs & of_a_head) == self.signal.per_head

    def test_no_labelled_frame(self, family, cells):
        view = random_view(family, cells)
        for signal in self.signals:
            values = signal(labelled(view, []))
            if signal.needs & {"labelled_features", "labelled_posterior"}:
                assert values.shape == (FRAMES,)
                assert len(values.unique()) == 1
            else:
                assert torch.equal(values, signal(view))

    @pytest.mark.parametrize("frames", [0, 1])
    def test_one_frame_or_none(self, family, cells, frames):
        view = candidates(random_view(family, cells), range(frames))
        for signal in self.signals:
            assert signal(view).shape == (frames,)

    def test_all_equal_frames_score_the_same(self, family, cells):
        view = candidates(random_view(family, cells), [2] * FRAMES)
        for signal in self.signals:
            values = signal(view)
            torch.testing.assert_close(values, values[:1].expand(FRAMES), rtol=1e-12, atol=1e-12)

    def test_all_zero_features(self, family, cells):
        view = random_view(family, cells)
        nothing = replace(view, features=view.features * 0, labelled_features=view.labelled_features * 0)
        for signal in self.signals:
            assert signal(nothing).isfinite().all()


class PosteriorPoolSignalAxioms(PoolSignalAxioms):
    """What every signal of a head that looks at the whole pool must do as well."""

    def test_invalid_cells_have_no_say(self, family, cells):
        view = random_view(family, cells, holes=False)

        def with_two_more_cells(p):
            def wider(probs):
                return torch.cat([probs, torch.full((*probs.shape[:-2], 2, 3), p, dtype=probs.dtype)], dim=-2)

            def head(output):
                valid = torch.ones(output.probs.shape[-3], cells + 2, dtype=torch.bool)
                valid[:, cells:] = False
                return replace(output, probs=wider(output.probs), valid=valid)

            return replace(
                view,
                posterior=head(view.posterior),
                labelled_posterior=head(view.labelled_posterior),
                members=head(view.members),
                previous=tuple(wider(earlier) for earlier in view.previous),
            )

        for p in (0.0, 0.3, 1.0):
            torch.testing.assert_close(self.signal(with_two_more_cells(p)), self.signal(view))

    def test_frame_without_a_valid_cell_scores_zero(self, family, cells):
        view = random_view(family, cells)
        valid = view.posterior.mask.clone()
        valid[5] = False
        gone = replace(view, posterior=replace(view.posterior, valid=valid), members=replace(view.members, valid=valid))
        values = self.signal(gone)
        assert values[5] == 0
        assert values.max() > 0

    def test_number_of_cells_does_not_matter(self, family, cells):
        view = random_view(family, cells)

        def finer(output):
            valid = None if output.valid is None else output.valid.repeat(1, 3)
            return replace(output, probs=output.probs.repeat(*[1] * (output.probs.ndim - 2), 3, 1), valid=valid)

        repeated = replace(
            view,
            posterior=finer(view.posterior),
            labelled_posterior=finer(view.labelled_posterior),
            members=finer(view.members),
            previous=tuple(earlier.repeat(1, 3, 1) for earlier in view.previous),
        )
        torch.testing.assert_close(self.signal(repeated), self.signal(view))

    def test_certain_and_settled_posteriors_score_zero(self, family, cells):
        view = random_view(family, cells)
        sure = torch.zeros(3, dtype=torch.float64)
        sure[1] = 1.0

        def head(output):
            return replace(output, probs=sure.expand_as(output.probs))

        settled = replace(
            view,
            posterior=head(view.posterior),
            labelled_posterior=head(view.labelled_posterior),
            members=head(view.members),
            previous=tuple(sure.expand_as(earlier) for earlier in view.previous),
        )
        torch.testing.assert_close(self.signal(settled), torch.zeros(FRAMES, dtype=torch.float64), rtol=0, atol=1e-12)
