"""One data set in three formats through the command line."""

import pandas as pd
import pytest
from miniature import annotated
from miniature.runs import all_runs, content

PHASES = ["cut", "wash"]
FRAMES = {
    f"{patient}/{number:04d}": (
        [[number % 3, 1, (number + k) % 3, 0]] * 3,
        [*["hook", "clip"][number % 2 : k], *PHASES[number % 2 : number % 2 + (number < 5)]],
    )
    for k, patient in enumerate(("ada", "ben", "cyd"))
    for number in range(6)
}
HEADS = (
    "data.heads={tools: {kind: multilabel, classes: [hook, clip]}, "
    "anatomy: {kind: exclusive, support: pixel, classes: [liver, fat], rest: other}, "
    "phase: {kind: exclusive, classes: [cut, wash]}, "
    "organs: {kind: multilabel, support: pixel, classes: [liver, fat]}}"
)
COLUMNS = (
    "data.heads={phase: {column: phase, classes: [cut, wash]}, organs: {masks: {liver: liver_mask, fat: fat_mask}}}"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A head of each of the four kinds; the phase of the last frame of each patient is not known."""
    root = annotated.write_images(tmp_path_factory.mktemp("annotated"), FRAMES)
    annotated.masks_of_classes(root, FRAMES)
    rows = pd.read_csv(root / "frames.csv")
    rows["phase"] = ["".join(name for name in PHASES if name in tags) for _, tags in FRAMES.values()]
    for organ in ("liver", "fat"):
        rows[f"{organ}_mask"] = [f"masks/{organ}/{name}_mask.png" for name in FRAMES]
    rows.to_csv(root / "frames.csv", index=False)
    for write in (annotated.coco, annotated.cvat):
        write(root, FRAMES, [*annotated.CATEGORIES, *PHASES])
    return root


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_same_run_to_the_bit(root, start, cache, tmp_path):
    data = {
        "table": [
            "data=table",
            f"data.path={root / 'frames.csv'}",
            "data.mask_classes={0: other, 1: liver, 2: fat}",
            COLUMNS,
        ],
        "coco": ["data=annotations", "data.format=coco", f"data.path={root / 'coco.json'}", HEADS],
        "cvat": ["data=annotations", "data.format=cvat", f"data.path={root / 'annotations.xml'}", HEADS],
    }
    found = {}
    for name, options in data.items():
        held_out = [] if name == "table" else ["data.test_patients=[ben]"]
        recipe = ["experiment=tiny", "tasks=all", "loop.initial=4", "loop.batch=2", "trainer.steps=2"]
        size = "frames.image_size=[96,64]"
        code, _, told = start(
            *recipe, *options, *held_out, size, f"name={name}", f"run_root={tmp_path / 'runs'}", f"cache={cache}"
        )
        assert code == 0, told
        (run,) = all_runs(tmp_path / "runs" / name)
        found[name] = content(run)
    measured = found["table"]["01/metrics.json"].decode()
    assert all(f'"{head}/' in measured for head in ("tools", "anatomy", "phase", "organs"))
    assert found["coco"] == found["table"]
    assert found["cvat"] == found["table"]


def test_inspection_and_heads_on_the_command_line(root, tmp_path, monkeypatch, capsys):
    import runpy
    import sys
    from pathlib import Path

    script = Path(__file__).resolve().parents[2] / "scripts" / "inspect_data.py"
    options = ["data=annotations", "data.format=coco", f"data.path={root / 'coco.json'}", "data.test_patients=[ben]"]
    layers = "data.heads={organs: {kind: multilabel, support: pixel, classes: [liver, fat]}}"
    monkeypatch.setattr(sys, "argv", [str(script), *options, layers, f"run_root={tmp_path}"])
    runpy.run_path(str(script), run_name="__main__")
    said = " ".join(capsys.readouterr().out.split())
    assert "pool 12 2 2" in said
    assert (tmp_path / "inspect/coco/samples.png").is_file()
    monkeypatch.setattr(sys, "argv", [str(script), *options, f"run_root={tmp_path}"])
    with pytest.raises(SystemExit, match="1"):
        runpy.run_path(str(script), run_name="__main__")
    assert "say which heads there are" in capsys.readouterr().err
