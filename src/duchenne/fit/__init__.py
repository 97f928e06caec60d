"""Making what the package ships: boundaries, score scale. Needed by researchers, not by users."""
