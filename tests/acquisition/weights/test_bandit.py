import math

import numpy as np
import pytest
from agreement import record
from axioms.weights import CLASSES, WeightAxioms

from mtal.acquisition.weights import Bandit, Evidence, PastRound

NAMES = sorted(CLASSES)


def played(rule, gains, rounds=30, growth=1.2, noise=0.0, seed=0):
    """Weights ``[rounds, T]`` of a loop in which the joint score gains Σₜ shareₜ·gainₜ per log of the labels."""
    generator = np.random.default_rng(seed)
    history, weights, score, labelled = [], [], 0.2, 100.0
    for _ in range(rounds):
        seen = float(np.clip(score + noise * generator.standard_normal(), 0, 1))
        scores = dict.fromkeys(CLASSES, seen)
        made = rule(Evidence(CLASSES, history=(*history, PastRound(round(labelled), scores))))
        history.append(PastRound(round(labelled), scores, made))
        weights.append([made[name] for name in CLASSES])
        score += sum(made[name] / 3 * gain for name, gain in zip(CLASSES, gains, strict=True)) * math.log(growth)
        labelled *= growth
    return np.array(weights)


class TestBandit(WeightAxioms):
    rule = Bandit()
    prefers_unsaturated = False
    even_handed = False

    @pytest.mark.parametrize("best", [0, 1, 2])
    def test_head_whose_picks_bring_all_the_gain_ends_with_the_most_say(self, best):
        """Over the turns of all heads."""
        weights = played(Bandit(), [0.12 * (t == best) for t in range(3)])
        last = weights[-3:].mean(axis=0)
        assert last.argmax() == best
        assert last[best] > 1.25
        # with a learning rate that suits so plain a case, even out of turn
        assert played(Bandit(500.0, 0.3), [0.12 * (t == best) for t in range(3)])[-1].argmax() == best

    def test_head_whose_picks_do_harm_ends_with_the_least_say(self):
        last = played(Bandit(), [0.0, -0.03, 0.0])[-3:].mean(axis=0)
        assert last.argmin() == 1
        assert last[1] < 0.97

    @pytest.mark.parametrize("gains", [[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
    def test_no_gain_or_the_same_for_all_leaves_the_say_equal(self, gains):
        """Over the turns; each head has its turn in one round of three."""
        weights = played(Bandit(exploration=0.3), gains, rounds=12)
        np.testing.assert_allclose(weights.reshape(4, 3, 3).mean(axis=1), 1.0, atol=0.01)
        turns = 0.7 + 0.9 * np.eye(3)[[NAMES.index(name) for name in CLASSES]].T  # 3·(0.7/3 + 0.3·[its turn])
        np.testing.assert_allclose(weights[:3], turns, atol=0.01)

    def test_curve_that_flattens_does_not_favour_whose_turn_came_first(self):
        """The joint score rises by the logarithm of the labels, whoever's turn it is, most in the first rounds."""
        history = []
        for labelled in range(20, 260, 20):
            scores = dict.fromkeys(CLASSES, 0.2 * math.log(labelled / 20))
            made = Bandit()(Evidence(CLASSES, history=(*history, PastRound(labelled, scores))))
            history.append(PastRound(labelled, scores, made))
        total = np.array([[r.weights[name] for name in CLASSES] for r in history]).mean(axis=0)
        np.testing.assert_allclose(total, 1.0, atol=1e-9)

    def test_noise_is_no_reason_to_favour_a_head(self):
        last = np.mean([played(Bandit(), [0.0] * 3, 12, noise=0.01, seed=s)[-3:] for s in range(60)], axis=(0, 1))
        np.testing.assert_allclose(last, 1.0, atol=0.1)

    def test_worked_example(self):
        """Two heads, γ = ½, η = 2; gains 0.2 then 0.06 while the labels double twice.

        The first gain is all there is, so it is as expected: reward 0. The mean rate is then 0.13 per doubling, and the
        second round's reward −0.07. Its shares were ¾ and ¼ against an expected ½ and ½, so the credits are
        −0.07·(±¼)/½ = ∓0.035, and q = 1/(1 + exp(±2·0.07)). Round 3 is a's turn.
        """
        history = (
            PastRound(10, {"a": 0.1, "b": 0.3}, {"a": 1.5, "b": 0.5}),
            PastRound(20, {"a": 0.3, "b": 0.5}, {"a": 1.5, "b": 0.5}),
            PastRound(40, {"a": 0.36, "b": 0.56}),
        )
        q = 1 / (1 + math.exp(0.14))
        made = Bandit(2.0, 0.5)(Evidence({"a": ("x",), "b": ("y",)}, history=history))
        error = max(abs(made["a"] - 2 * (q / 2 + 0.5)), abs(made["b"] - 2 * (1 - q) / 2))
        record("bandit", "by hand", error)
        assert error < 1e-12

    @pytest.mark.parametrize("rate", [0.5, 3.0])
    def test_agrees_with_a_replay_step_by_step(self, rate):
        rng = np.random.default_rng(0)
        weights = rng.random((6, 3)) * 2
        scores = rng.random(6)
        labelled = [10, 15, 18, 30, 31, 50]
        history = [
            PastRound(n, dict.fromkeys(NAMES, float(s)), dict(zip(NAMES, w.tolist(), strict=True)))
            for n, s, w in zip(labelled, scores, weights, strict=True)
        ]
        log_weights = np.zeros(3)
        for r in range(5):
            usual = (scores[r + 1] - scores[0]) / math.log(labelled[r + 1] / labelled[0])
            reward = scores[r + 1] - scores[r] - usual * math.log(labelled[r + 1] / labelled[r])
            policy = 0.8 * np.exp(log_weights) / np.exp(log_weights).sum() + 0.2 / 3
            log_weights += rate * reward * (weights[r] / weights[r].sum() - policy) / 0.2
        expected = 0.8 * np.exp(log_weights) / np.exp(log_weights).sum()
        expected[5 % 3] += 0.2
        made = Bandit(rate, 0.2)(Evidence(CLASSES, history=tuple(history)))
        error = max(abs(made[name] - 3 * share) for name, share in zip(NAMES, expected, strict=True))
        record("bandit", "multiplicative weights step by step in numpy", error)
        assert error < 1e-10

    def test_estimate_is_unbiased_over_the_turns(self):
        """Mean over the turns of gain·(s − p)·T/γ² is the gain of each head's full say beyond the mean of all."""
        x, q, gamma = np.array([0.3, -0.1, 0.05]), np.array([0.5, 0.2, 0.3]), 0.3
        policy = (1 - gamma) * q + gamma / 3
        shares = (1 - gamma) * q + gamma * np.eye(3)  # [turn, T]
        estimate = ((shares @ x)[:, None] * (shares - policy) * 3 / gamma**2).mean(axis=0)
        np.testing.assert_allclose(estimate, x - x.mean(), atol=1e-12)

    def test_rounds_that_tell_nothing_are_left_out(self):
        score, other = dict.fromkeys(CLASSES, 0.2), dict.fromkeys(CLASSES, 0.5)
        lead, even = {"tools": 3.0, "bleeding": 0.0, "anatomy": 0.0}, dict.fromkeys(CLASSES, 1.0)
        start = (PastRound(20, score, even), PastRound(40, score, even))
        quiet = Bandit()(Evidence(CLASSES, history=(*start, PastRound(80, score))))
        for history in (
            (*start[:1], PastRound(40, score, even), PastRound(80, other)),  # even shares
            (*start[:1], PastRound(40, score, {}), PastRound(80, other)),  # shares unknown
            (*start[:1], PastRound(40, score, lead), PastRound(40, other)),  # no frame added
            (*start[:1], PastRound(40, score, lead), PastRound(80, {})),  # not scored
            (*start[:1], PastRound(40, {"tools": 0.2}, lead), PastRound(80, {"anatomy": 0.5})),  # no head scored twice
        ):
            assert Bandit()(Evidence(CLASSES, history=history)) == pytest.approx(quiet, rel=1e-12)
        told = Bandit()(Evidence(CLASSES, history=(start[0], PastRound(40, score, lead), PastRound(80, other))))
        assert told["tools"] > quiet["tools"] * 1.1

    def test_joint_score_is_of_the_heads_scored_before_and_after(self):
        """The bleeding head comes in with a low score; the joint score of the others has not moved."""
        lead = {"tools": 3.0, "bleeding": 0.0, "anatomy": 0.0}
        others = {"tools": 0.6, "anatomy": 0.4}
        history = (PastRound(20, others, lead), PastRound(40, others, lead), PastRound(80, {**others, "bleeding": 0.0}))
        quiet = (PastRound(20, others), PastRound(40, others), PastRound(80, others))
        assert Bandit()(Evidence(CLASSES, history=history)) == Bandit()(Evidence(CLASSES, history=quiet))

    def test_extreme_rewards_stay_in_range(self):
        swings = [dict.fromkeys(CLASSES, float(r % 2)) for r in range(400)]
        leads = [{name: float(t == r % 3) for t, name in enumerate(CLASSES)} for r in range(400)]
        history = [PastRound(r + 1, s, w) for r, (s, w) in enumerate(zip(swings, leads, strict=True))]
        weights = Bandit(1e6, 1e-3)(Evidence(CLASSES, history=tuple(history)))
        assert all(0 <= w <= 3 for w in weights.values())
        assert sum(weights.values()) == pytest.approx(3.0)

    def test_heads_take_turns_by_name(self):
        for rounds, turn in ((0, "anatomy"), (1, "anatomy"), (2, "bleeding"), (3, "tools"), (4, "anatomy")):
            history = tuple(PastRound(20, {}) for _ in range(rounds))
            weights = Bandit()(Evidence(CLASSES, history=history))
            assert max(weights, key=weights.get) == turn

    @pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
    def test_impossible_learning_rates_are_refused(self, rate):
        with pytest.raises(ValueError, match=f"learning_rate must be above 0 and finite, not {rate}"):
            Bandit(rate)

    @pytest.mark.parametrize("exploration", [0.0, 1.0, -0.1, math.nan])
    def test_impossible_explorations_are_refused(self, exploration):
        with pytest.raises(ValueError, match=rf"exploration must lie in \(0, 1\), not {exploration}"):
            Bandit(exploration=exploration)
