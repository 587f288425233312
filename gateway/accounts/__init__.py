"""Who may sign in at the gateway, and as what. `wiring.py` puts it together."""
