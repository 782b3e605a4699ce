"""Nights from the archive on. A package, so that its engines end with its last test."""
