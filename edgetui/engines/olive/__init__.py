"""Microsoft Olive, in the environment of its toolchain."""
