"""GraphQL types, one file for each table or topic: fields, enums and filters, and the queries behind relations."""
