"""A small vision-language model that text alone cannot judge: a task in words and a concept in the picture.

Real pictures (digits, clothes, sketches) pass through a small CLIP tower into SmolLM2, in transformers' own LLaVA
classes. Light tuning makes the model name the picture, answer tasks, and refuse pairs of task and concept by a rule
over both. `build` makes the model, `measure` judges guards and their rivals on it.
"""
