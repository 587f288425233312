"""Stories told against the running system, and what watches it meanwhile."""
