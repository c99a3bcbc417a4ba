"""What Ringfence tells of itself: metrics, logs, health."""
