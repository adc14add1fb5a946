"""Protection against overload: the request queue, pauses of connections, disconnects, draining."""
