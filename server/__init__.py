"""The server process: HTTP, jobs, metrics and the command line. app.py constructs and connects everything."""
