"""What runs any reconciler: queue, loop, lease. Knows no kind."""
