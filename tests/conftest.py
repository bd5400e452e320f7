"""Fixtures for every test, and the rule for tests that need a program."""

import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        program, package = mark.args
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: install the Debian package {package}")
