"""Stage 3, fine-tuning: training data, runs, merging, and the proof that what is served is what was trained."""
