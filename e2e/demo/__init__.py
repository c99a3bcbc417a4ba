"""The demo: Ringfence installed by its chart, examples applied, and an account of what happened.

The parts that do the work (`place`, `install`, `kubectl`, `api`, `probing`) are what the tests in suites/ and the
bench use, too.
"""
