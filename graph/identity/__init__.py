"""Authentication and authorization: passwords, tokens, API keys, scopes and callers. Nothing here depends on HTTP.

accounts.py and identities.py read and write the database, through db.queries and db.writes; the others do not.
"""
