"""One release per tier, some 240 of them: which they are, what they are told, and how they are rolled out.

division table ─▶ tiers.csv, values/<code>.yaml ─▶ plan ─▶ helm, parents before children, ring after ring
                   (overrides/: what a person decides)        │
                                                           journal: what is done stays done after a kill -9
"""
