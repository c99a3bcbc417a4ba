"""Many agents on an API server without a node: what they cost the controller, and how long it takes over them."""
