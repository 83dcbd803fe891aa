"""Adapters to native runtimes; imported only inside worker processes."""
