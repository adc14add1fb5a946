"""HTTP: requests, answers, callers, and the middleware between them."""
