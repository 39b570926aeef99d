"""Train, go round the loop, pick, keep the run folder."""
