"""Quality by llama-perplexity's definitions over the logits of any engine; numpy, and no runtime."""
