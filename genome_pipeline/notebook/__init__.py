"""For a notebook: the published file as frames, and the forecast on a frame of transactions."""
