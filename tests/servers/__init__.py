"""Servers on loopback: a real llama-server's answers as they were recorded, and servers that misbehave."""
