"""A loopback hub: speaks the Hugging Face hub's HTTP as huggingface_hub uses it, with faults on demand."""
