"""Benchmarks: Candlegraph compared with other GraphQL servers, with another checkout, and under overload."""
