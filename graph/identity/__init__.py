"""Who somebody is: passwords, tokens and keys. Nothing here asks the database, and nothing knows of HTTP."""
