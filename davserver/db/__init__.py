"""All SQL, and nothing but SQL: rows in, dataclasses out. No key ever comes here; secrets arrive sealed."""
