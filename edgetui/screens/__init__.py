"""One module a screen: layout, keys, short handlers."""
