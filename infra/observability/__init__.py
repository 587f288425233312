"""What wakes somebody, what they then look at and do: alert rules, dashboards and runbooks, written as code.

`python -m infra.observability` writes rules.yaml and dashboards/ from alerts.py and dashboards.py; tests compare.
"""
