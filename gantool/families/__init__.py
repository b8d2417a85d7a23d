"""One package per GAN; families never import each other."""
