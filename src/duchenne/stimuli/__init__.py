"""Controlled sets of faces: people x conditions x intensities, drawn, measured and written down."""
