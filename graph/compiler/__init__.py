"""Compiles the selection below a field into one SQL statement that PostgreSQL answers in JSON.

In the order of an operation:

    variables.py    coerces variables, and puts a DeferredValue in place of each value that the plan leaves open
    deferred.py     parameters whose value comes with each request
    cost.py         the maximum cost of an operation, and the actual cost of its answer
    plans.py        an operation -> a plan: one compiled statement, and how to read its parameters
    statement.py    a selection -> an SQL expression: calls resolvers with symbols
    symbols.py      the values that resolvers return instead of data
    pages.py        connections: one keyset scan
    cursors.py      a position in a keyset order, as an opaque text
    global_ids.py   a type and a primary key, as an opaque text
    json.py         JSON expressions
    tags.py         the tables that a statement reads, or one member of a table
    policy.py       for how long, and to whom, its answer may be served again
    executor.py     operations without a plan: graphql-core executes them, with one statement a root field
    parents.py      concrete parents as a table, so that a relation is one statement for all of them

It does not depend on the project's tables or types: its tests compile a schema of their own.
"""
