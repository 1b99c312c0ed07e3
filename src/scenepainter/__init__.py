"""Paint scenes of six classes, with the class of every pixel; arrays out."""
