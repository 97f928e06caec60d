"""Animate a face photo by FACS Action Units, in the latent space of a pretrained StyleGAN."""
