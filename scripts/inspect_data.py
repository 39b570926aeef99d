"""Look at a data set before learning from it: splits, positives per class and patient, warnings, sample overlays.

python scripts/inspect_data.py data=vocalfolds data.root=DIR
python scripts/inspect_data.py data=table data.path=frames.csv 'data.mask_classes={0: background, 1: liver}'
"""

import sys
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console

from mtal.datasets import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.split_report import examples, split_report
from mtal.frames import open_reader, read_pictures
from mtal.launch import check_overrides, ending_by_signal, register
from mtal.launch.faults import FAULTS_OF_INPUT, refuse_missing, tell
from mtal.launch.plain_warnings import plain_warnings
from mtal.reporting.label_sheet import LabelledPicture, write_label_sheet
from mtal.reporting.split_tables import print_split_report, write_split_report

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

register()


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    check_overrides(CONFIGS, sys.argv[1:])
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=sys.argv[1:])
    try:
        refuse_missing(config)
        with plain_warnings(Console(stderr=True)):
            inspect(instantiate(config.data), Path(config.run_root) / "inspect")
    except FAULTS_OF_INPUT as error:
        tell(error)
        sys.exit(1)


def inspect(dataset: SurgicalDataset, root: Path) -> None:
    report = split_report(dataset)
    console = Console()
    print_split_report(report, console)
    folder = root / dataset.name
    paths = write_split_report(report, folder)
    pixel = [m for m in dataset.label_maps if m.support == "pixel"]
    pictures = labelled_pictures(dataset, examples(report, dataset), pixel)
    paths.append(write_label_sheet(folder / "samples.png", pictures, [(m.classes, m.colors) for m in pixel]))
    console.print(f"written: {', '.join(map(str, paths))}", highlight=False, soft_wrap=True)


def labelled_pictures(dataset: SurgicalDataset, frame_ids: list[str], pixel: list[LabelMap]) -> list[LabelledPicture]:
    pictures = []
    for source, rows in dataset.index.select(frame_ids).groupby("source", sort=False):
        with open_reader(str(source), on_truncated="keep") as reader:  # once for all its frames
            images = read_pictures(reader, rows["frame"].tolist())
        for frame_id, split, image in zip(rows["frame_id"], rows["split"], images, strict=True):
            masks = [dataset.labels.targets(m.task, [frame_id], image.shape[:2])[0] for m in pixel]
            tags = [f"{m.task}: {said(dataset, m, frame_id)}" for m in dataset.label_maps if m.support == "frame"]
            pictures.append(LabelledPicture(f"{frame_id} ({split})", image, masks, tags))
    return pictures


def said(dataset: SurgicalDataset, label_map: LabelMap, frame_id: str) -> str:
    label = dataset.labels.targets(label_map.task, [frame_id])[0]
    if np.all(label == IGNORE):
        return "not annotated"
    if label_map.exclusive:
        return label_map.classes[int(label)]
    present = ", ".join(c for c, shows in zip(label_map.classes, label, strict=True) if shows == 1)
    return present or ("none of those annotated" if np.any(label == IGNORE) else "none")


if __name__ == "__main__":
    with ending_by_signal():
        main()
