"""Tests of the client: ``unit`` needs nothing, ``service`` needs a running python-executor."""
