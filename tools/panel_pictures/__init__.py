"""Pictures of the dashboards' panels: the real queries, asked of a real Prometheus about samples of a real Ringfence.

`make samples` records (a cluster, some minutes), `make pictures` draws (no cluster). Neither is a part of CI, which
only looks whether each picture was drawn from what is there now (`stale.py`).
"""
