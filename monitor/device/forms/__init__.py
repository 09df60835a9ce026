"""Criteria as operations on tensors: the deviations of `outrider.coverage`, from the tables that these prepared."""

from __future__ import annotations

from . import counting, distances, patterns, scores
from .form import FORMS, LARGEST_COLUMN, Form, OfOne, Tables, form_of, forms_of, refuse_without_form, tables_of

__all__ = [
    "FORMS",
    "LARGEST_COLUMN",
    "Form",
    "OfOne",
    "Tables",
    "counting",
    "distances",
    "form_of",
    "forms_of",
    "patterns",
    "refuse_without_form",
    "scores",
    "tables_of",
]  # fmt: skip
