"""Many items through a few workers, on this machine or on a Ray cluster, into one folder."""
