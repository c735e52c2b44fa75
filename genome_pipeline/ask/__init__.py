"""What an assistant may ask of the published file, and the server that answers it (`genome mcp`)."""
