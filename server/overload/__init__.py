"""What keeps a flood of requests from slowing everybody: the request queue, pauses, draining."""
