import numpy as np
from miniature import surgery

from mtal.annotation import SimulatedOracle


def test_reveals_all_tasks_of_the_frames_asked(tmp_path):
    dataset = surgery.write(tmp_path / "set")
    asked = ["video_b/000003", "video_a/000011"]
    labels = SimulatedOracle(dataset).label(asked, (32, 32))
    assert list(labels) == ["tools", "bleeding", "anatomy"]
    assert labels["anatomy"].shape == (2, 32, 32)
    for task, answer in labels.items():
        assert answer.dtype == np.uint8
        np.testing.assert_array_equal(answer, dataset.labels.targets(task, asked, (32, 32)))
        again = SimulatedOracle(dataset).label(asked[::-1], (32, 32))[task]
        np.testing.assert_array_equal(again, answer[::-1])
