"""Similar customers, and the traits they share."""
