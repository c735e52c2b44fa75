"""What stays in place while pages change."""
