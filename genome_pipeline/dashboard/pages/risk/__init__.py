"""Risk: who is becoming unstable, and how far the probabilities can be relied on."""
