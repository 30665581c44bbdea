"""Tests against the python-executor that the variable PYEXEC_TEST_SERVER names."""
