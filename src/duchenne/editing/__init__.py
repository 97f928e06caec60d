"""Moving a code along boundaries (Eq. 2 to 5), region by region, and drawing the result."""
