"""Options of a command that come from a table beside its settings, in the place of parameters of its function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

import typer

from ..models.options import Option, setting_types
from .completion import choices

Command = TypeVar("Command", bound=Callable[..., None])


def with_settings(settings: type, options: Mapping[str, Option], before: str) -> Callable[[Command], Command]:
    """Give a command the ``options`` of ``settings``, in the order of the table and listed before the parameter
    ``before``; it receives them as keyword arguments."""

    def decorate(command: Command) -> Command:
        hints = typing.get_type_hints(command, include_extras=True)
        types = setting_types(settings)
        parameters = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == before:
                parameters += [_parameter(setting, option, types) for setting, option in options.items()]
            if parameter.kind is not parameter.VAR_KEYWORD:
                parameters.append(parameter.replace(annotation=hints[parameter.name]))
        # typer reads a command's signature and annotations, and calls it with keywords alone.
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(setting: str, option: Option, types: Mapping[str, type]) -> inspect.Parameter:
    name, kind = option.name or setting, option.kind or types[setting]
    flags = [f"--{name.replace('_', '-')}", *([option.short] if option.short else [])]
    offered = choices(*option.choices) if option.choices else None
    declared = typer.Option(*flags, help=option.help, min=option.least, max=option.most, autocompletion=offered)
    flag = kind is bool
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=False if flag else None,
        annotation=Annotated[kind if flag else kind | None, declared],
    )
