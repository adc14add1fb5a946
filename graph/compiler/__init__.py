"""Turns the selection below a field into one SQL statement that PostgreSQL answers in JSON.

    symbols.py     what a resolver may return instead of data
    pages.py       connections: one keyset scan
    cursors.py     a position in a keyset order, as an opaque text
    json.py        JSON expressions
    statement.py   selection -> expression
    parents.py     concrete parents -> a table of keys
    executor.py    where GraphQL's executor hands over

It knows nothing of coins.
"""
