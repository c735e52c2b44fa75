"""Value: who brings the value, and whether that was foreseen."""
