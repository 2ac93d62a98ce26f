"""Ways to time the operators of a model, one file each, behind one Protocol."""
