"""Fakes that keep the contract of what they stand for; used by every kind of test."""
