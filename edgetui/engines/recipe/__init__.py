"""Measurements that a search for tensor types needs: what each group of tensors does, and how results compare."""
