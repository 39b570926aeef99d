"""A trained model and recordings to choose from, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from miniature import film, vocalfolds
from miniature.faulty_pictures import dark, tissue

from mtal.launch import register
from mtal.learning.experiment import run_experiment
from mtal.selecting import Checkpoint, Request, select_frames
from mtal.selecting.command import configured

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    """14 frames worth a label in two videos of different sizes, a dark one, and a file that is no video."""
    root = tmp_path_factory.mktemp("recordings")
    film.write(root / "anna_1.mp4", [*(tissue(seed) for seed in range(8)), dark(1)], fps=1)
    film.write(root / "ward" / "bo.mkv", [tissue(seed, (180, 320)) for seed in range(20, 26)], fps=1)
    (root / "broken.mp4").write_bytes(b"no video" * 99)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def run(tmp_path_factory, cache) -> Path:
    """Two rounds on the miniature vocal folds, 7 frames labelled, bleeding in none of them."""
    data = vocalfolds.write(tmp_path_factory.mktemp("vocalfolds"))
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = [*vocalfolds.OPTIONS, f"data.root={data}", f"cache={cache}", "loop.fold_steps=1", "name=mini"]
        config = compose("config", overrides=options)
    path = tmp_path_factory.mktemp("runs") / "mini"
    with pytest.warns(UserWarning, match="bleeding: no label so far"):
        run_experiment(config, path)
    return path


@pytest.fixture(scope="session")
def make(run, videos, cache) -> Callable[..., bool]:
    """``make(folder, *overrides, budget=5, checkpoint=run, videos=videos)`` selects frames."""

    def select(folder: Path, *overrides: str, budget: int = 5, checkpoint: Path = run, videos: Path = videos) -> bool:
        chosen = Checkpoint.read(checkpoint)
        request = Request(videos, checkpoint, budget, folder, (f"cache={cache}", *overrides))
        return select_frames(configured(request, chosen, CONFIGS), chosen, budget, folder)

    return select


@pytest.fixture(scope="session")
def selected(make, tmp_path_factory) -> Path:
    """5 frames at least 2 seconds apart."""
    folder = tmp_path_factory.mktemp("selections") / "first"
    with pytest.warns(UserWarning, match="bleeding: no label so far"):
        assert make(folder, "acquisition.minimum_gap_s=2")
    return folder
