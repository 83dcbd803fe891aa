"""The command line: one module a subcommand, all over the same services."""
