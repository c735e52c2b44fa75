"""Fit and predict on frames and arrays; nothing here opens a file or a database."""
