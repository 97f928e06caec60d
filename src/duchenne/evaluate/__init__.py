"""Judging boundaries and encodings on faces that no fit has seen."""
