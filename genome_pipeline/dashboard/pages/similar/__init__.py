"""Similar: who resembles whom."""
