"""Models of the package transformers, seen as layers of attention heads: decoders, vision-language models, towers."""
