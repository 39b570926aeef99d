import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from mtal.reporting.comparison.markdown import over_all, tables_of
from mtal.reporting.comparison.wording import conclusion

SCRIPT = Path(__file__).parents[3] / "scripts" / "make_results_page.py"


def test_tables_say_what_the_comparison_says(compared):
    (setting,) = compared.settings
    tables = tables_of(setting)
    joint = tables["joint"].splitlines()
    assert len(joint) == 2 + len(setting.strategies)
    assert joint[2].startswith(f"| `{setting.joint.rows[0].strategy}` | ")
    assert f"{setting.joint.rows[0].area:.3f}" in joint[2]
    assert f"best seen {setting.scores[1].reference:.3f}" in tables["heads"].splitlines()[0]  # it was not run
    assert "the full pool" not in " ".join(conclusion(setting))
    whole = replace(setting, scores=tuple(replace(score, full_pool=True) for score in setting.scores))
    assert f"full pool {setting.scores[1].reference:.3f}" in tables_of(whole)["heads"]
    assert "tools hook (in 4.0% of frames)" in tables["rare"].splitlines()[0]  # by name
    assert "(baseline)" in tables["rare"]


def test_the_winner_loses_nothing_where_it_won_and_is_never_beaten(compared):
    tables = over_all(compared)
    best = compared.settings[0].joint.rows[0].strategy
    assert tables["winners"].splitlines()[2] == f"| `{best}` | +0.000 |"
    assert tables["penalties"].splitlines()[2].split(" | ")[1] == "0.000"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_results_page", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_only_marked_places_that_have_a_table_are_filled(script):
    page = "a\n<!-- table s joint -->\nold\n<!-- end -->\nb\n<!-- table t joint -->\nkept\n<!-- end -->\n"
    expected = page.replace("old", "new\nlines")
    assert script.filled(page, {("s", "joint"): "new\nlines"}) == expected
    assert script.filled(expected, {("s", "joint"): "new\nlines"}) == expected


def test_a_name_with_a_star_is_all_sweeps_of_such_names(script):
    page = "".join(f"<!-- table {name} winners -->\n<!-- end -->\n" for name in ("old_*", "new_*", "old_a"))
    sweeps = [Path("new_a"), Path("old_b"), Path("old_a")]
    assert script.together(page, sweeps) == {"old_*": [Path("old_b"), Path("old_a")], "new_*": [Path("new_a")]}


def test_settings_are_called_by_their_sweeps(script, compared, study):
    (setting,) = compared.settings
    (sweep,) = {Path(run).parent for runs in compared.run_paths[setting.name].values() for run in runs.values()}
    assert script.name_of(setting.name, "s*p", [sweep, study / "other"], compared) == "wee"
    assert script.name_of(setting.name, "s*p", [study / "other"], compared) == setting.name


def test_full_pool_runs_are_told_by_their_name(script):
    of = {"fresh_liver_full": Path("own"), "study_liver_full": Path("other"), "study_full": Path("another")}
    assert script.reference_of(Path("fresh_liver"), of) == [Path("own")]
    assert script.reference_of(Path("study"), of) == [Path("another")]
    assert script.reference_of(Path("study_lung"), of) == []
    assert [script.is_full_pool(Path(name)) for name in ("s", "s_full", "s_full.tar.xz", "full.tar.xz")] == [
        False,
        True,
        True,
        False,
    ]
