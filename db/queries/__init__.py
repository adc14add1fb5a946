"""What can be asked of the database, one noun a file. A function returns a Select or a Listing, and runs nothing."""
