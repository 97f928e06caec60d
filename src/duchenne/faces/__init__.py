"""From a photo to an aligned face and back: detector, landmarks, alignment, regions, paste."""
