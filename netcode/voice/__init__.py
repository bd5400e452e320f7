"""Room of voice."""
