"""Attention heads of a language model that tell unsafe from safe prompts: detection, transfer and cost."""
