from __future__ import annotations

import pytest
import yaml

from mtal.reporting.comparison.strategies import find_baseline, sort_runs
from mtal.reporting.run_reader import read_run

HEADS = {"tools": [0.4, 0.5]}


@pytest.fixture
def run(tmp_path, configure, write):
    def make(name, seed=0, change=None, **acquisition):
        config = configure(seed, 1, **acquisition)
        for section, options in (change or {}).items():
            config[section] = {**config.get(section, {}), **options}
        return read_run(write(tmp_path / name, config, [10, 20], HEADS))

    return make


def test_runs_that_differ_in_their_seed_alone_are_one_strategy(run):
    logged = {"logger": {"mode": "online"}, "loop": {"rounds": 1}}
    runs = [run("a", 0), run("b", 3, change=logged), run("c", 0, selector="Random"), run("d", 3, selector="Random")]
    (setting,), left_out = sort_runs(runs, [])
    assert setting.name == "synthetic"
    assert {s.name: s.seeds for s in setting.strategies} == {"badge": (0, 3), "random": (0, 3)}
    assert not left_out


def test_a_seed_that_is_there_twice_counts_once(run):
    (setting,), left_out = sort_runs([run("a", 0), run("b", 0), run("c", 0, selector="Random")], [])
    assert setting.strategies[0].seeds == (0,)
    assert [out.path.name for out in left_out] == ["b"]
    assert "same strategy and seed" in left_out[0].reason


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"encoder": {"name": "vit_tiny"}}, ["synthetic · resnet18", "synthetic · vit_tiny"]),
        ({"data": {"_target_": "mtal.datasets.vocalfolds.load", "root": "x"}}, ["synthetic", "vocalfolds"]),
    ],
)
def test_other_data_or_another_encoder_are_another_setting(run, change, names):
    runs = [run("a"), run("b", selector="Random"), run("c", change=change), run("d", change=change, selector="Random")]
    settings, _ = sort_runs(runs, [])
    assert [s.name for s in settings] == names
    assert all([x.name for x in s.strategies] == ["badge", "random"] for s in settings)


OTHER = {"data": {"_target_": "mtal.datasets.vocalfolds.load"}, "loop": {"initial": 5, "batch": 5}}


@pytest.mark.parametrize("told", [True, False])
def test_a_strategy_is_called_the_same_in_settings_of_other_loops(run, told):
    runs = [run("a"), run("b", selector="Random"), run("c", change=OTHER), run("d", change=OTHER, selector="Random")]
    if told:
        runs = [give(r, f"strategy={'random' if r.name in 'bd' else 'joint_badge'}") for r in runs]
    settings, _ = sort_runs(runs, [])
    assert len(settings) == 2
    assert all([s.name for s in x.strategies] == ["joint_badge" if told else "badge", "random"] for x in settings)
    assert find_baseline(settings, None) == "random"


def test_what_a_named_strategy_does_otherwise_in_another_setting_is_no_other_name(run):
    badge = {"_target_": "mtal.acquisition.selector.Badge"}
    runs = [
        give(run("a"), "strategy=joint_badge"),
        give(run("b", selector="Random"), "strategy=random"),
        give(run("c", change=OTHER, selector=badge | {"p": 2}), "strategy=joint_badge"),
        give(run("d", change=OTHER, selector="Random"), "strategy=random"),
    ]
    settings, _ = sort_runs(runs, [])
    assert all([s.name for s in x.strategies] == ["joint_badge", "random"] for x in settings)


def test_what_reads_hidden_labels_is_a_bound_also_as_a_part(run):
    part = {"_target_": "mtal.acquisition.selectors.Switch", "first": {"_target_": "x.HiddenLabelBound"}}
    runs = [run("a", selector="HiddenLabelBound"), run("b", selector=part), run("c", selector="Random")]
    (setting,), _ = sort_runs(runs, [])
    assert setting.bounds == {"hidden_label_bound", "switch"}
    with pytest.raises(ValueError, match=r"no strategy 'switch' in synthetic.*--baseline: random"):
        find_baseline([setting], "switch")


def test_full_pool_runs_are_no_strategy(run):
    given = run("given")
    own = run("own", change={"loop": {"initial": "all"}})
    (setting,), _ = sort_runs([run("a", 0), run("b", 1), own], [given])
    assert {r.name for r in setting.full_pool} == {"given", "own"}
    assert [s.seeds for s in setting.strategies] == [(0, 1)]


def test_a_full_pool_run_of_other_data_is_refused(run):
    with pytest.raises(ValueError, match=r"full.*no reference for them"):
        sort_runs([run("a")], [run("full", change={"data": {"root": "elsewhere"}})])


def test_the_baseline_is_random_unless_another_is_asked_for(run):
    settings, _ = sort_runs([run("a"), run("b", selector="Random"), run("c", fusion="Max")], [])
    assert find_baseline(settings, None) == "random"
    assert find_baseline(settings, "max") == "max"
    with pytest.raises(ValueError, match=r"no strategy 'nix' in synthetic.*--baseline: .*max, random"):
        find_baseline(settings, "nix")


def give(run, *options):
    """The command line of a run, as Hydra keeps it."""
    folder = run.path / ".hydra"
    folder.mkdir()
    (folder / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": {"task": list(options)}}}))
    return run


def test_named_strategies_keep_their_names(run):
    runs = [
        give(run("a"), "seed=0", "strategy=joint_badge"),
        give(run("b", 1), "seed=1", "strategy=joint_badge"),
        give(run("c", selector="Random"), "strategy=chance", "seed=0"),
    ]
    (setting,), _ = sort_runs(runs, [])
    assert {s.name: s.seeds for s in setting.strategies} == {"chance": (0,), "joint_badge": (0, 1)}


def test_what_differs_is_added_to_a_name_that_does_not_tell_apart(run):
    runs = [
        give(run("a"), "strategy=joint_badge"),
        give(run("b", fusion="Max"), "strategy=joint_badge"),
        give(run("c", selector="Random"), "strategy=random"),
    ]
    (setting,), _ = sort_runs(runs, [])
    assert [s.name for s in setting.strategies] == ["joint_badge · max", "joint_badge · weighted_mean", "random"]


def test_strategies_without_a_name_stand_beside_named_ones(run):
    runs = [give(run("a"), "strategy=joint_badge"), give(run("b", selector="KCenterGreedy"))]
    (setting,), _ = sort_runs(runs, [])
    assert [s.name for s in setting.strategies] == ["joint_badge", "k_center_greedy"]


def test_a_name_that_another_strategy_has_by_itself_is_not_used(run):
    runs = [give(run("a"), "strategy=k_center_greedy"), give(run("b", selector="KCenterGreedy"))]
    (setting,), _ = sort_runs(runs, [])
    assert [s.name for s in setting.strategies] == ["badge", "k_center_greedy"]
