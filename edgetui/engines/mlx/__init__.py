"""Apple MLX: models made and measured by mlx-lm, in the environment of the toolchain `mlx` alone."""
