"""Reusable pieces of screen; they know core types, never services."""
