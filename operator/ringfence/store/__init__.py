"""What is known of the cluster: kept by informers from lists and watches, asked by decisions and passes.

* `sources`: which kinds are read, and where.
* `informer`: how: lists, watches, gaps.
* `tables`, `records`: what is kept of each object.
* `store`: all tables of the controller with their indexes, and who is to be looked at when something changes.
* `context`: what decisions depend on; the admission server keeps nothing else.
"""
