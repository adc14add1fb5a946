"""HTTP: requests, responses, callers, and the middleware around them."""
