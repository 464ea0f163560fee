"""An in-process vendor: deterministic answers, no key, no network."""
