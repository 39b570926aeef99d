"""Train, score the pool, go round the loop, keep the run folder."""
