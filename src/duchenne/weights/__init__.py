"""Model files: where they lie, what they are, and their hashes."""
