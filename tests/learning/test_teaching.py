"""What rounds have learnt, of a whole run."""

import itertools

import numpy as np
import pytest
from miniature import surgery
from miniature.rounds import picks, read
from safetensors.torch import load_file


def test_metrics(finished, dataset, targets):
    for number, labelled, picked in ((0, 6, 6), (1, 10, 4), (2, 14, 4)):
        summary = read(finished[0], number)
        assert (summary["round"], summary["labelled"], summary["picked"]) == (number, labelled, picked)
        assert {"tools/mAP", "bleeding/AP", "bleeding/AUROC", "bleeding/sensitivity"} <= set(summary["metrics"])
        main = [summary["metrics"][k] for k in ("tools/mAP", "bleeding/AP", "anatomy/mIoU")]
        assert summary["metrics"]["joint"] == pytest.approx(np.mean(main))
    known = [dataset.index.frame_ids.index(f) for f in itertools.chain(*picks(finished[0]))]
    assert summary["class_counts"]["bleeding"]["bleeding"] == int(targets["bleeding"][known].sum())
    assert list(summary["class_counts"]["tools"].values()) == targets["tools"][known].sum(axis=0).tolist()
    assert finished[3] == summary["metrics"]


def test_model_holds_what_was_trained(finished, tasks):
    state = load_file(finished[0] / "rounds/00/model.safetensors")
    assert set(state) == set(surgery.make_model(tasks).trained_state())
    assert not any(name.startswith("encoder.") for name in state)
