"""Work in the background: jobs, and the runner that runs them."""
