"""Meters of power and energy, and the files of a machine that they are read from: for services and measuring jobs."""
