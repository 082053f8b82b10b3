"""What to say about a command line that does not parse."""

from __future__ import annotations

from typing import Any

from ..suggest import did_you_mean


def usage_message(error: Any) -> str:
    """One line for a click ``UsageError``, with the nearest command or option where one is near."""
    context, message = error.ctx, error.format_message().rstrip(".")
    hint = ""
    if context is not None:
        place = context.command_path
        option = getattr(error, "option_name", None)
        if option is not None and message.startswith("No such option"):
            message = f"No such option: {option}"
            names = [name for one in context.command.params for name in (*one.opts, *one.secondary_opts)]
            hint = did_you_mean(option, [name for name in names if name.startswith("--")], "{}")
        elif message.startswith("No such command"):
            word = message.split("'")[1]
            message, hint = (
                f"No such command '{word}'",
                did_you_mean(word, context.command.list_commands(context), "{}"),
            )
    else:
        place = "fiedler"
    return f"{message}; {hint}See '{place} --help'." if hint else f"{message}. See '{place} --help'."
