"""Measures zongzhi against raw limits of the same machine, in the same run: `make bench ONLY=part,part`."""
