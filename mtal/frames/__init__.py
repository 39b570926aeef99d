"""What exists to be labelled: frame index, readers, sampler, cache."""
