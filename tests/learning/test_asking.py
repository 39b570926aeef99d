"""What annotators are asked, and shown, of the picks of a round."""

import numpy as np
import pytest
from miniature.rounds import picks
from PIL import Image

from mtal.annotation import LabelsPendingError, SimulatedOracle, Status
from mtal.learning.loop_settings import LoopSettings


def test_what_is_owed_ends_the_run_or_is_waited_for(finished, experiment, start, dataset, tmp_path):
    class Person(SimulatedOracle):
        asked, looks = None, 0

        def ask(self, request):
            self.asked = request

        def collect(self):
            self.looks += 1

        def status(self, request):
            owed = request.frame_ids if self.looks < 3 else []
            return Status(len(request.frame_ids), 6 - len(owed), {"tools": owed}, "the folder x", seconds=90.0)

    oracle, loop = Person(dataset), LoopSettings(6, 4, 0)
    first = picks(finished[0])[0]
    told = (
        r"round 0: 0 of 6 frames are done. Owed, about 2 min of work: "
        rf"tools of 6 \(first {', '.join(first[:3])}, …\). "
        "Answer in the folder x, then give the same command again"
    )
    with pytest.raises(LabelsPendingError, match=told):
        start(experiment(oracle=oracle, loop=loop), tmp_path)
    assert oracle.asked.frame_ids == first
    assert oracle.asked.asked.all()
    assert oracle.asked.guess is None  # nothing is learnt so far
    oracle.poll_s = 0.001
    start(experiment(oracle=oracle, loop=loop), tmp_path)
    assert oracle.looks == 3


def test_annotators_are_shown_what_the_model_of_the_round_before_believes(experiment, start, dataset, tmp_path):
    class Shown(SimulatedOracle):
        def ask(self, request):
            if request.guess:
                guesses.append(request.guess(1, (64, 64))["anatomy"])

    guesses = []
    start(experiment(oracle=Shown(dataset), loop=LoopSettings(6, 4, 1)), tmp_path)
    believed = np.asarray(Image.open(tmp_path / "rounds/01/images/0001.anatomy.pred.png"))
    assert (guesses[0] == believed).mean() > 0.99  # sums in another order
