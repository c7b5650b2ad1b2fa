"""The proofs of lesson 6.7, one a part."""
