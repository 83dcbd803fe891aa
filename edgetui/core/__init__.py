"""Plain data types and pure arithmetic; imports nothing else of edgetui."""
