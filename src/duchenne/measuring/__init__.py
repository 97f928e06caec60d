"""What a face shows: Action Unit scores, skin, identity, expression."""
