"""Moving a code along boundaries (Eq. 2 to 4), region by region, and drawing the result."""
