"""Stage 1: what a model sees. Every view is computed from the files of a model of this machine, when it is asked for."""
