import numpy as np
import pytest

from mtal.acquisition.selectors.configurations import Configurations, mean_x_log_x, thinned, x_log_x


def test_outcomes_that_stand_for_others_weigh_as_many():
    # evidence ½(0.5 + 0.1) = 0.3 and ½(0.2 + 0.4) = 0.3, the second for three: ¼ and ¾
    configurations = Configurations(2)
    probs = np.array([[0.5, 0.2], [0.1, 0.4]])
    configurations.append(probs, np.array([1.0, 3.0]), 10, np.random.default_rng(0))
    posterior = dict(zip(configurations.weight.round(12), configurations.posterior.tolist(), strict=True))
    assert posterior == {0.25: pytest.approx([5 / 6, 1 / 6]), 0.75: pytest.approx([1 / 3, 2 / 3])}


def random(configurations=500, members=5, seed=0):
    generator = np.random.default_rng(seed)
    made = Configurations(members)
    made.weight = generator.dirichlet(np.ones(configurations))
    made.posterior = generator.dirichlet(np.full(members, 0.3), configurations)
    return made


def test_appending_is_bayes_rule():
    """As if the posterior of every configuration and outcome were written down."""
    before, generator = random(20), np.random.default_rng(1)
    probs = generator.dirichlet(np.ones(6), 5)
    joint = before.posterior[:, :, None] * probs  # [M, K, R]
    evidence = joint.sum(axis=1)
    weight, posterior = (before.weight[:, None] * evidence), joint / evidence[:, None]
    after = random(20)
    after.append(probs, np.ones(6), 1000, generator)
    assert not after.thinned
    matters = -(weight[:, None] * x_log_x(posterior)).sum(axis=1).ravel()
    order = np.argsort(-matters)
    np.testing.assert_allclose(after.weight, weight.ravel()[order])
    np.testing.assert_allclose(after.posterior, posterior.transpose(0, 2, 1).reshape(-1, 5)[order])
    assert after.left == pytest.approx(matters.sum())


def test_an_outcome_that_tells_the_member_is_not_kept():
    configurations = Configurations(2)
    configurations.append(np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]), np.ones(3), 10, np.random.default_rng(0))
    assert configurations.posterior.tolist() == [[0.5, 0.5]]
    assert configurations.weight.tolist() == [0.5]


def test_merging_keeps_the_mean_and_forgets():
    whole = random()
    merged = whole.merged(16)
    assert len(merged) <= 16
    np.testing.assert_allclose(merged.weight @ merged.posterior, whole.weight @ whole.posterior)
    assert whole.left < merged.left < 1.3 * whole.left
    assert whole.merged(500) is whole


@pytest.mark.parametrize("rows", [1, 100, 1000])
def test_sums_in_pieces_are_the_sum(rows):
    made, probs = random(rows), np.random.default_rng(0).dirichlet(np.ones(300), 5)
    x = made.posterior @ probs
    np.testing.assert_allclose(mean_x_log_x(made.weight, made.posterior, probs), made.weight @ (x * np.log(x)))


class TestThinnedWeights:
    weight = np.array([5.0, 0.2, 0.0, 1.0, 0.3, 0.2, 2.0, 0.3])

    def test_each_is_right_on_average(self):
        total = np.zeros(8)
        for offset in (np.arange(4000) + 0.5) / 4000:
            kept, factor = thinned(self.weight, 4, offset)
            assert len(kept) == len(set(kept.tolist())) == 4
            total[kept] += self.weight[kept] * factor
        np.testing.assert_allclose(total / 4000, self.weight, atol=1e-3)

    def test_threshold_by_hand(self):
        # 5 and 2 are above (1 + 0.3 + 0.3 + 0.2 + 0.2)/2 = 1, so is 1 with nothing to spare; one of the others stays
        kept, factor = thinned(self.weight, 4, 0.4)
        assert kept[:3].tolist() == [0, 6, 3]
        assert (self.weight[kept] * factor).tolist() == pytest.approx([5, 2, 1, 1])

    def test_fewer_than_asked_for_are_kept_as_they_are(self):
        kept, factor = thinned(self.weight, 8, 0.7)
        assert kept.tolist() == [0, 6, 3, 4, 7, 1, 5]  # falling; 0 is nothing
        assert factor.tolist() == [1.0] * 7

    def test_only_zeros_keep_nothing(self):
        assert [len(part) for part in thinned(np.zeros(5), 2, 0.5)] == [0, 0]

    def test_all_weights_on_a_few(self):
        kept, factor = thinned(np.array([0.0, 3.0, 0.0, 1.0, 0.0]), 3, 0.9)
        assert kept.tolist() == [1, 3]
        assert factor.tolist() == [1.0, 1.0]
