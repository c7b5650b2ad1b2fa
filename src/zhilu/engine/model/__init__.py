"""What a model folder holds: its configuration, its weights, its LoRA adapters."""
