"""Installing an engine: an environment of its own, made step by step by a job that can be cancelled and started again."""
