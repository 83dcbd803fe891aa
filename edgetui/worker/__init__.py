"""The process boundary: protocol, parent side, child sides."""
