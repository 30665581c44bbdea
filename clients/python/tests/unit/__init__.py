"""Tests that need no python-executor."""
