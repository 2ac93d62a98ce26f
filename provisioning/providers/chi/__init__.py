"""CHI@Edge: a leased device, a container on it, a floating address."""
