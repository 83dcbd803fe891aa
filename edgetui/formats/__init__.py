"""Readers of files that are not ours."""
