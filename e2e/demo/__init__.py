"""The demo: Ringfence installed by its chart, examples applied, and a report of what happened."""
