"""The GraphQL API: schema, resolvers, compiler, and the path of a request. Nothing here depends on HTTP."""
