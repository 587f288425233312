"""PostgreSQL: its settings, and a server of one's own in a folder."""
