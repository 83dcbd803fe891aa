"""The Hugging Face hub through huggingface_hub: search, pages, headers by range, downloads into its cache.

Everything here blocks and belongs into a thread or a job's process.
"""
