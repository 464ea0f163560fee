"""From the model asked to the targets that can answer."""
