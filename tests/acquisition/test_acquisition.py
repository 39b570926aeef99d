import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from axioms.heads import random_head
from axioms.selectors import frame_ids

from mtal.acquisition import (
    SHARED,
    Acquisition,
    Badge,
    Bait,
    Bald,
    Candidates,
    Entropy,
    ExpectedGradientLength,
    Forgetting,
    GradientLength,
    Identity,
    JointCover,
    JointGradientNorm,
    Margin,
    Max,
    Moments,
    PercentileRank,
    PoolView,
    Random,
    ScoreTable,
    SingleTask,
    TopK,
    Typicality,
    TypiClust,
    UniformInTime,
    WeightedMean,
    coarse_posterior,
    gradient_block,
    tie_break,
)
from mtal.tasks.posterior import HeadOutput


def acquisition(signals=("entropy",), normalizer=None, fusion=None, selector=None, **options):
    made = {"entropy": Entropy(), "margin": Margin(), "length": ExpectedGradientLength()}
    return Acquisition(
        {name: made[name] for name in signals},
        normalizer or Identity(),
        fusion or WeightedMean(),
        selector or TopK(),
        **options,
    )


def table(**columns):
    """Columns named ``<task>_<signal>``."""
    return ScoreTable.from_scores(
        {tuple(key.split("_")): torch.tensor(values, dtype=torch.float64) for key, values in columns.items()}
    )


OUTPUTS = {"tools": random_head("bernoulli", 1), "anatomy": random_head("categorical", 4)}
BLOCKS = {task: gradient_block(head) for task, head in OUTPUTS.items()}


class TestScore:
    def test_every_signal_of_every_head(self):
        scores = acquisition(["entropy", "length"]).score(OUTPUTS)
        assert list(scores) == [
            ("tools", "entropy"),
            ("tools", "length"),
            ("anatomy", "entropy"),
            ("anatomy", "length"),
        ]
        torch.testing.assert_close(scores["anatomy", "length"], ExpectedGradientLength()(OUTPUTS["anatomy"]))
        assert all(column.dtype == torch.float64 for column in scores.values())

    def test_pitfall_7_no_head_takes_every_pick(self):
        """Each of two heads is unsure of its own half of the pool, one has 4 classes per frame, one 900 pixels."""
        unsure, sure = torch.full((10,), 0.5), torch.full((10,), 0.05)
        noise = torch.rand(20, generator=torch.Generator().manual_seed(0)) * 0.04
        tools = HeadOutput("bernoulli", (torch.cat([unsure, sure]) - noise)[:, None, None].repeat(1, 1, 4))
        p = (torch.cat([sure, unsure]) - noise)[:, None]
        anatomy = HeadOutput("categorical", torch.stack([p, 1 - p], dim=-1).repeat(1, 900, 1))
        chooser = acquisition(normalizer=PercentileRank())
        made = ScoreTable.from_scores(chooser.score({"tools": tools, "anatomy": anatomy}))
        candidates = Candidates(tie_break(0, frame_ids(20)), utility=chooser.utility(made))
        picks = chooser.select(candidates, 8, np.random.default_rng(0))
        assert 2 <= (picks < 10).sum() <= 6


class TestUtility:
    def test_worked_example(self):
        # tools ¼·(3·e + 1·m): 0.3, 0.1; anatomy 0.0, 1.0 likewise 0, 1; heads (2·tools + anatomy)/3
        chooser = acquisition(
            signal_weights={"entropy": 3.0}, head_weights={"tools": 2.0}, signals=["entropy", "margin"]
        )
        made = table(
            tools_entropy=[0.4, 0.0], tools_margin=[0.0, 0.4], anatomy_entropy=[0.0, 1.0], anatomy_margin=[0.0, 1.0]
        )
        assert chooser.utility(made).tolist() == pytest.approx([0.2, (0.2 + 1) / 3], rel=1e-6)

    def test_is_float64_and_uses_the_normalizer(self):
        made = table(tools_entropy=[0.1, 0.9, 0.2], anatomy_entropy=[30.0, 10.0, 90.0])
        utility = acquisition(normalizer=PercentileRank()).utility(made)
        assert utility.dtype == torch.float64
        assert utility.tolist() == [0.25, 0.5, 0.75]

    def test_weight_of_a_constant_signal_is_shared_within_its_head(self):
        chooser = acquisition(signals=["entropy", "margin"])
        made = table(tools_entropy=[0.2, 0.6], tools_margin=[0.3, 0.3], anatomy_entropy=[0.0, 1.0])
        with pytest.warns(UserWarning, match="tools/margin: the same score on all 2 frames"):
            utility = chooser.utility(made)
        assert utility.tolist() == pytest.approx([0.1, 0.8])

    def test_weight_of_a_constant_head_is_shared_among_the_heads(self):
        made = table(tools_entropy=[0.2, 0.6], bleeding_entropy=[0.0, 0.0], anatomy_entropy=[0.0, 1.0])
        with pytest.warns(UserWarning, match="bleeding/entropy: the same score"):
            utility = acquisition().utility(made)
        assert utility.tolist() == pytest.approx([0.1, 0.8])

    def test_head_without_labels_has_no_say_and_is_named(self):
        made = table(tools_entropy=[0.2, 0.6], bleeding_entropy=[0.9, 0.1], anatomy_entropy=[0.0, 1.0])
        with pytest.warns(UserWarning, match="bleeding: no label so far") as caught:
            utility = acquisition().utility(made, inactive_tasks={"bleeding"})
        assert utility.tolist() == pytest.approx([0.1, 0.8])
        assert len(caught) == 1

    def test_single_task_of_a_head_without_labels_is_left_to_the_tie_break(self):
        made = table(tools_entropy=[0.2, 0.6], bleeding_entropy=[0.9, 0.1])
        with pytest.warns(UserWarning, match="no label so far"):
            utility = acquisition(fusion=SingleTask("bleeding")).utility(made, ["bleeding"])
        assert utility.tolist() == [0.0, 0.0]

    def test_no_head_left_gives_equal_utilities(self):
        with pytest.warns(UserWarning, match="tools/entropy, anatomy/entropy: the same score"):
            utility = acquisition().utility(table(tools_entropy=[0.2] * 3, anatomy_entropy=[0.5] * 3))
        assert utility.tolist() == [0.0] * 3

    def test_one_frame_is_no_reason_to_warn(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert acquisition().utility(table(tools_entropy=[0.2])).tolist() == [0.0]

    def test_order_of_columns_does_not_matter(self):
        columns = {
            "tools_entropy": [0.2, 0.6, 0.1],
            "tools_margin": [0.3, 0.1, 0.2],
            "anatomy_entropy": [0.4, 0.0, 1.0],
        }
        chooser = acquisition(signals=["entropy", "margin"], normalizer=PercentileRank(), head_weights={"tools": 3.0})
        expected = chooser.utility(table(**columns))
        torch.testing.assert_close(chooser.utility(table(**dict(reversed(columns.items())))), expected)

    def test_unknown_names_are_refused(self):
        made = table(tools_entropy=[0.2, 0.6])
        with pytest.raises(ValueError, match="head_weights names 'tool', which is not one of tools"):
            acquisition(head_weights={"tool": 2.0}).utility(made)
        with pytest.raises(ValueError, match="inactive_tasks names 'tool'"):
            acquisition().utility(made, ["tool"])

    def test_a_silent_head_is_known_beside_signals_of_all_heads_together(self):
        made = ScoreTable([(SHARED, "joint_gradient_norm")], torch.tensor([[0.2], [0.8]]).double())
        chooser = Acquisition({"joint_gradient_norm": JointGradientNorm()}, Identity(), WeightedMean(), TopK())
        with pytest.warns(UserWarning, match="bleeding: no label so far"):
            utility = chooser.utility(made, ["bleeding"])
        assert utility.argmax() == 1


class TestLevels:
    scores = table(tools_entropy=[0.2, 0.8, 0.6], tools_margin=[0.4, 0.0, 0.6], anatomy_entropy=[0.9, 0.1, 0.5])

    def test_signals_have_a_rule_of_their_own(self):
        chooser = acquisition(["entropy", "margin"], signal_fusion=Max())
        assert chooser.utility(self.scores).tolist() == pytest.approx([0.65, 0.45, 0.55])

    def test_columns_at_once(self):
        chooser = acquisition(["entropy", "margin"], fusion=Max(), level="columns")
        assert chooser.utility(self.scores).tolist() == pytest.approx([0.9, 0.4, 0.5])

    def test_adaptive_weights_multiply_the_fixed_ones(self):
        # tools 2·½ = 1, anatomy 3: (0.3 + 3·0.9)/4 …
        chooser = acquisition(["entropy", "margin"], head_weights={"tools": 2.0})
        utility = chooser.utility(self.scores, weights={"tools": 0.5, "anatomy": 3.0})
        assert utility.tolist() == pytest.approx([0.75, 0.175, 0.525])


class TestSelect:
    candidates = Candidates(tie_break(0, frame_ids(4)), utility=torch.tensor([0.9, 0.8, 0.1, 0.5]))
    timed = replace(candidates, moments=Moments(np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 2.0, 0.0])))

    def test_minimum_gap_between_picks(self):
        chooser = acquisition(minimum_gap_s=2.0)
        assert chooser.select(self.timed, 3, np.random.default_rng(0)).tolist() == [0, 3, 2]

    def test_minimum_gap_to_labelled_frames(self):
        chooser = acquisition(minimum_gap_s=1.5)
        beside = replace(self.timed, labelled_moments=Moments(np.array([0]), np.array([0.25])))
        picks = chooser.select(beside, 2, np.random.default_rng(0))
        assert picks.tolist() == [3, 2]

    def test_minimum_gap_without_moments_is_refused(self):
        with pytest.raises(ValueError, match="minimum_gap_s is 2: give the moments"):
            acquisition(minimum_gap_s=2.0).select(self.candidates, 3, np.random.default_rng(0))

    def test_cap_per_video(self):
        assert acquisition(max_per_video=1).select(self.timed, 2, np.random.default_rng(0)).tolist() == [0, 3]
        with pytest.raises(ValueError, match="max_per_video: give the moments"):
            acquisition(max_per_video=1).select(self.candidates, 2, np.random.default_rng(0))

    def test_cap_per_patient(self):
        chooser, of_two = acquisition(max_per_patient=1), replace(self.candidates, patients=np.array([0, 0, 1, 0]))
        picks = chooser.select(of_two, 2, np.random.default_rng(0))
        assert picks.tolist() == [0, 2]
        with pytest.raises(ValueError, match="max_per_patient: give the patients"):
            chooser.select(self.candidates, 2, np.random.default_rng(0))

    def test_even_shares(self):
        """A second one only when every patient has one, and nothing is warned of."""
        chooser, of_two = acquisition(max_per_patient="even"), replace(self.candidates, patients=np.array([0, 0, 1, 0]))
        picks = chooser.select(of_two, 4, np.random.default_rng(0))
        assert picks.tolist() == [0, 2, 1, 3]
        with pytest.raises(ValueError, match=r"max_per_video must be 1 frame or more, even, or null .* not odd"):
            acquisition(max_per_video="odd")

    def test_budget_in_seconds(self):
        # 40 s buy the best frame (30 s); 10 s are left, and only the last one costs no more
        priced = replace(self.candidates, cost_s=np.array([30.0, 20.0, 15.0, 10.0]))
        picks = acquisition().select(priced, 4, np.random.default_rng(0), budget_s=40.0)
        assert picks.tolist() == [0, 3]
        with pytest.raises(ValueError, match=r"a budget of 40 seconds needs .* set acquisition\.cost"):
            acquisition().select(self.candidates, 4, np.random.default_rng(0), budget_s=40.0)

    def test_cold_start_has_a_selector_of_its_own(self):
        chooser = acquisition(selector=Badge(), cold_start=UniformInTime())
        alone = UniformInTime()(self.timed, 2, np.random.default_rng(0)).tolist()
        assert chooser.select(self.timed, 2, np.random.default_rng(0), cold=True).tolist() == alone

    @pytest.mark.parametrize("selector", [TopK(), Badge(), JointCover()])
    def test_cold_start_goes_by_nothing_that_is_learnt(self, selector):
        with pytest.raises(ValueError, match=f"cold_start: {type(selector).__name__} goes by .*no head has learnt"):
            acquisition(cold_start=selector)

    def test_calls_do_not_remember_each_other(self):
        chooser = acquisition(minimum_gap_s=2.0)
        first, second = (chooser.select(self.timed, 2, np.random.default_rng(0)) for _ in range(2))
        assert torch.equal(first, second)


class TestJointGradient:
    def test_head_weights(self):
        joint = acquisition(head_weights={"tools": 3.0}).joint_gradient(BLOCKS)
        for task, weight in (("tools", 3.0), ("anatomy", 1.0)):
            mean = float(BLOCKS[task].sq_norm.mean())
            assert joint.scales[task] == pytest.approx(weight / mean)

    def test_adaptive_weights_multiply_the_fixed_ones(self):
        joint = acquisition(head_weights={"tools": 3.0}).joint_gradient(BLOCKS, weights={"tools": 0.5, "anatomy": 2.0})
        for task, weight in (("tools", 1.5), ("anatomy", 2.0)):
            assert joint.scales[task] == pytest.approx(weight / float(BLOCKS[task].sq_norm.mean()))

    def test_head_without_labels_has_no_say(self):
        with pytest.warns(UserWarning, match="tools: no label so far"):
            joint = acquisition(head_weights={"tools": 3.0}).joint_gradient(BLOCKS, ["tools"])
        assert joint.scales["tools"] == 0.0

    def test_no_head_with_labels_draws_at_random(self):
        with pytest.warns(UserWarning, match="anatomy, tools: no label so far"):
            joint = acquisition().joint_gradient(BLOCKS, ["tools", "anatomy"])
        picks = Badge()(Candidates(tie_break(0, frame_ids(6)), gradient=joint), 6, np.random.default_rng(0))
        assert sorted(picks.tolist()) == list(range(6))


class TestWentBy:
    """What the selector read, which alone may be called the reason of a pick."""

    scores = table(tools_entropy=[0.2, 0.8, 0.6], tools_margin=[0.4, 0.0, 0.6], anatomy_entropy=[0.9, 0.1, 0.5])

    def columns(self, made=None, blocks=BLOCKS, inactive=(), weights=None, **options):
        chooser = acquisition(["entropy", "margin"], **options)
        scores = chooser.comparable(self.scores if made is None else made)
        return chooser.went_by(scores, blocks, inactive, weights).columns

    def test_scores_behind_the_utility(self):
        assert self.columns() == self.scores.columns
        assert self.columns(level="columns") == self.scores.columns
        assert self.columns(selector=Badge(gamma=1.0)) == self.scores.columns

    def test_who_has_no_say_is_no_reason(self):
        tools = (("tools", "entropy"), ("tools", "margin"))
        assert self.columns(head_weights={"anatomy": 0.0}) == tools
        assert self.columns(inactive=["anatomy"]) == tools
        assert self.columns(weights={"anatomy": 0.0}) == tools
        assert self.columns(fusion=SingleTask("tools")) == tools
        assert self.columns(fusion=SingleTask("tools/margin"), level="columns") == tools[1:]
        assert self.columns(signal_weights={"entropy": 0.0}) == tools[1:]
        assert self.columns(signal_fusion=SingleTask("margin")) == (*tools[1:], ("anatomy", "entropy"))

    def test_a_constant_column_is_no_reason(self):
        made = table(tools_entropy=[0.2, 0.2], anatomy_entropy=[0.9, 0.1])
        assert self.columns(made) == (("anatomy", "entropy"),)
        assert self.columns(table(tools_entropy=[0.2, 0.2])) == ()
        missing = table(tools_entropy=[0.2, math.nan, 0.2], anatomy_entropy=[0.9, 0.1, math.nan])
        with pytest.warns(UserWarning, match="NaN in tools/entropy, anatomy/entropy: 2 of 3 frames"):
            assert self.columns(missing, nan_policy="neutral") == (("anatomy", "entropy"),)

    def test_lengths_of_gradients(self):
        chooser = acquisition(selector=Badge(), head_weights={"tools": 3.0})
        read = chooser.went_by(chooser.comparable(self.scores.only([])), {})
        assert read.columns == ()
        six = ScoreTable((("tools", "entropy"),), torch.rand(6, 1).double())
        read = chooser.went_by(chooser.comparable(six), BLOCKS, weights={"anatomy": 0.0})
        assert read.columns == (("tools", "gradient_length"),)
        torch.testing.assert_close(read.values[:, 0], BLOCKS["tools"].sq_norm.sqrt())

    def test_neither_scores_nor_gradients(self):
        assert self.columns(blocks={}, selector=TypiClust()) == ()
        assert self.columns(blocks={}, selector=Bait()) == ()


def test_says_what_it_needs():
    assert acquisition().selector_needs == {"utility"}
    assert acquisition(selector=Random()).selector_needs == frozenset()
    assert acquisition().batch_needs == acquisition().pool_needs == frozenset()
    assert acquisition(["length"]).batch_needs == {"features"}
    assert acquisition(selector=Badge()).batch_needs == {"features"}
    assert acquisition(selector=Badge(), gradient="shared").batch_needs == {"shared_gradient"}
    assert acquisition(selector=Bait()).batch_needs == {"features"}
    assert acquisition(weights=GradientLength()).batch_needs == {"shared_gradient"}


def test_a_pass_over_the_pool_is_spared_where_nothing_reads_it():
    assert acquisition().reads_the_pool
    assert not acquisition(selector=Random()).reads_the_pool
    assert not acquisition(selector=UniformInTime()).reads_the_pool


def with_signals(*signals):
    return Acquisition({s.name: s for s in signals}, Identity(), WeightedMean(), TopK())


def test_signals_of_three_kinds_have_columns_of_three_kinds():
    chooser = with_signals(Bald(), JointGradientNorm(), Typicality(k=2), Forgetting())
    assert chooser.batch_needs == {"members", "shared_gradient"}
    assert chooser.pool_needs == {"features", "posterior", "previous"}
    heads = {t: replace(h, shared_gradient=torch.ones(6, 2)) for t, h in OUTPUTS.items()}
    members = {t: replace(h, probs=torch.stack([h.probs, h.probs.flip(0)])) for t, h in OUTPUTS.items()}
    scores = chooser.score(heads, members)
    assert list(scores) == [("tools", "bald"), ("anatomy", "bald"), ("shared", "joint_gradient_norm")]
    torch.testing.assert_close(scores["tools", "bald"], Bald()(members["tools"]).double())
    torch.testing.assert_close(scores["shared", "joint_gradient_norm"], torch.full((6,), 8.0).sqrt().double())
    views = {
        t: PoolView(features=torch.arange(6.0)[:, None], posterior=coarse_posterior(replace(h, grid=grid)), previous=())
        for (t, h), grid in zip(OUTPUTS.items(), [None, (2, 2)], strict=True)
    }
    assert list(chooser.score_views(views)) == [
        ("shared", "typicality"),
        ("tools", "forgetting"),
        ("anatomy", "forgetting"),
    ]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"signal_weights": {"entrpy": 1.0}}, "signal_weights names 'entrpy', which is not one of entropy"),
        ({"signal_weights": {"entropy": -1.0}}, "signal_weights.entropy must be 0 or more"),
        ({"head_weights": {"tools": math.nan}}, "head_weights.tools must be 0 or more"),
        ({"minimum_gap_s": -1.0}, "minimum_gap_s must be 0 seconds or more"),
        ({"level": "frames"}, "unknown level 'frames'; choices are heads, columns"),
        ({"gradient": "first"}, "unknown gradient 'first'; choices are last_layer, shared"),
        ({"class_weights": "rare"}, "unknown class_weights 'rare'; choices are equal, inverse_frequency, headroom"),
        ({"max_per_video": 0}, "max_per_video must be 1 frame or more, even, or null for any number, not 0"),
        ({"members": 1}, "members must be 2 or more, not 1"),
        ({"nan_policy": "ignore"}, "'ignore'; choices are raise, drop_frame, neutral"),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        acquisition(**options)
