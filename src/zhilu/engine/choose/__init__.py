"""From logits to the next token: sampling, grammars, guesses, beams."""
