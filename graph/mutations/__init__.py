"""What clients may change, one mutation a file. writing.py runs them."""
