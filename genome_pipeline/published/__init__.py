"""Reading the published file, and what the command and the dashboard ask of it."""
