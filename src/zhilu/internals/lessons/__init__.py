"""The lessons of stage 6, numbered as in the roadmap. Each is one module that reads from top to bottom."""
