"""All SQL, and nothing but SQL: rows in, dataclasses out. No key comes here; what is secret is sealed before."""
