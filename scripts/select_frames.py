"""Select the frames of recordings that a trained model asks labels for, in a folder that can be handed over.

python scripts/select_frames.py videos=DIR checkpoint=runs/demo/default budget=200
python scripts/select_frames.py videos=DIR checkpoint=RUN/rounds/03 budget=50 name=second strategy=headroom_mean
python scripts/select_frames.py videos=DIR checkpoint=RUN budget=200 data.sampler.rate_hz=2 acquisition.minimum_gap_s=5
"""

import sys
from pathlib import Path

from mtal.selecting import main

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv):
        raise SystemExit(__doc__)
    main(sys.argv[1:], CONFIGS)
