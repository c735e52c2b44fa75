"""What customers buy next: candidates, what is known of each, and how likely it is."""
