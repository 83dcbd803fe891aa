"""Async capabilities shared by screens and command line; no Textual here."""
