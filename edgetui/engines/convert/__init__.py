"""Between safetensors and GGUF: llama.cpp's converter one way, transformers the other; both in the toolchain `gguf`."""
