"""Pretrained generators behind one protocol."""
