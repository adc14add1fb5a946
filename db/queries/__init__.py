"""Read queries, one entity per module. Functions build a Select or a Listing; none executes a statement."""
