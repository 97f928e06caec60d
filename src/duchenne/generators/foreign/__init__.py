"""Other people's checkpoints, read without running them."""
