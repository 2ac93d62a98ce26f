"""What travels between client and agent: wire types, paths and error codes. Imports pydantic only."""
