"""The mutations, one a file: input, payload and the function that writes. writing.py runs them."""
