"""Shortcuts of networks that aren't built from skiplab's blocks: found while they run, and joined by a connection."""
