"""`make bench`: what Ringfence costs and how fast it is, measured on a built-in cluster, in one run, as JSON."""
