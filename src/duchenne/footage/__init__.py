"""A film whose face is edited: which frames are worked out, and how all of them are drawn."""
