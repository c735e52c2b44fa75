"""The only code that opens a database for writing."""
