"""The public signatures are those of the seed document."""

from __future__ import annotations

import ast
import inspect
from typing import Any, Callable

import pytest

from python_executor_client import ExecutionConfig, Metadata, PythonExecutorClient

from ..seed import Section

NAMES = ["__init__", "execute_async", "execute_sync", "get_execution", "kill", "wait_for_completion"]


def test_every_signature_of_the_seed_is_compared(seed_sections: dict[str, Section]) -> None:
    assert [name for name, section in seed_sections.items() if section.signature] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_the_one_of_the_seed(name: str, seed_sections: dict[str, Section]) -> None:
    documented = signature_of_text(seed_sections[name].signature)
    public: Callable[..., Any] = PythonExecutorClient
    if name != "__init__":
        public = getattr(PythonExecutorClient("http://localhost"), name)
    assert shape(inspect.signature(public)) == shape(documented)


@pytest.mark.parametrize("name", NAMES)
def test_return_type_is_the_one_of_the_seed(name: str, seed_sections: dict[str, Section]) -> None:
    _, arrow, documented = seed_sections[name].signature.partition("→")
    returned = inspect.signature(getattr(PythonExecutorClient, name)).return_annotation
    assert returned == (documented.strip() if arrow else "None")


def test_positional_order_of_the_dataclasses_is_that_of_version_1_0() -> None:
    assert list(inspect.signature(Metadata).parameters) == [
        "entrypoint",
        "docker_image",
        "requirements_txt",
        "pre_commands",
        "stdin",
        "config",
        "env_vars",
        "script_args",
    ]
    assert list(inspect.signature(ExecutionConfig).parameters) == [
        "timeout_seconds",
        "network_disabled",
        "memory_mb",
        "disk_mb",
        "cpu_shares",
    ]


def signature_of_text(text: str) -> inspect.Signature:
    """Parse ``name(parameter: type = default) → type``; the types are not looked at."""
    tree = ast.parse(f"def {text.partition('→')[0]}: ...")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    defaults = [ast.literal_eval(default) for default in function.args.defaults]
    missing = [inspect.Parameter.empty] * (len(names) - len(defaults))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, default=value) for name, value in zip(names, missing + defaults)]
    if function.args.kwarg:
        parameters.append(inspect.Parameter(function.args.kwarg.arg, inspect.Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def shape(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults."""
    return [(parameter.name, parameter.kind, parameter.default) for parameter in signature.parameters.values()]
