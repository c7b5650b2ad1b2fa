"""What other programs answer from the same weights, each asked in a process of its own: the references of the gates."""
