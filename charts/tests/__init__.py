"""What the charts promise, looked up in what they render; and, under cluster/, on a real cluster."""
