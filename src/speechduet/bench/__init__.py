"""How fast a model is on this machine, what it needs, and how near that is to the limit."""
