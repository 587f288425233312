"""Traces and metrics outside of the processes: the Collector's configuration, and the table of all metrics."""
