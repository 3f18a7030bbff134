"""Models: their configuration, their folders, and where they are found."""
