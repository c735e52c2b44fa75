"""Which customers resemble which, and by what."""
