"""g^-1: a face's latent code, by a first guess, a descent, and a tuning on request."""
