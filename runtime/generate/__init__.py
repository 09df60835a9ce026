"""A guard inside `generate`: the plain prefill is checked, and a flagged prompt is answered by a refusal."""
