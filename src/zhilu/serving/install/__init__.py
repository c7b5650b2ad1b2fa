"""Installing an engine: a job makes its environment step by step, and can be cancelled and started again."""
