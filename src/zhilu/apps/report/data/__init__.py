"""Sources of figures: reading them in, looking at what they hold, and three samples."""
