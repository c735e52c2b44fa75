"""The pages: each module answers one question about the snapshot, and draws with figures and components only."""
