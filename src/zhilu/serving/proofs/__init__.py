"""What the gates of stage 2 run: the conformance run, sampling checks, greedy comparison, the proof that an adapter is applied."""
