"""Which Action Units are how strong in which frame: timelines, easing, recordings."""
