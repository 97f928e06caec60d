"""Pictures, films and codes on disk: whole or not there, and marked as synthetic."""
