"""The command line: one command group a file, registered in main.py."""
