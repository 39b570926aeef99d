import numpy as np
from axioms.selectors import SelectorAxioms, frame_ids
from scipy.stats import chisquare

from mtal.acquisition.selectors import Candidates, Random, tie_break


class TestRandom(SelectorAxioms):
    selector = Random()
    seeded = True

    def test_every_frame_is_as_likely_in_every_place(self):
        candidates = Candidates(tie_break(0, frame_ids(6)))
        generator = np.random.default_rng(0)
        counts = np.zeros((2, 6))
        for _ in range(1200):
            for place, i in enumerate(Random()(candidates, 2, generator).tolist()):
                counts[place, i] += 1
        assert chisquare(counts[0]).pvalue > 0.001
        assert chisquare(counts[1]).pvalue > 0.001
