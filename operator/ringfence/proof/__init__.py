"""What is tried of a fence: for each agent a table of connections and calls with what must come of each. Pure."""
