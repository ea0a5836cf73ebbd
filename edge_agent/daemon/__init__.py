"""Threads, their assembly, and the service manager."""
