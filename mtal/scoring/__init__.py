"""One pass of the model over the pool: what it is fed, what it says of each frame, and what is kept of that."""
