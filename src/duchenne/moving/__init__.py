"""The photo's own pixels, moved as the generator's picture of a face moves."""
