"""The command line: one file per verb, no logic of its own, nothing heavy imported until a verb runs.

A verb is a function with typed options in `cli/<verb>.py`; a family of verbs is a typer app there. Errors
that a user can
mend are sentences on stderr and exit code 2.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer

# verb -> "module:attribute". A function is a verb, a typer app is a family of verbs.
VERBS = {
    "data": "data:app",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "index": "index:index",
    "search": "search:search",
    "recipes": "recipes:recipes",
    "report": "report:app",
}


def build_app() -> typer.Typer:
    """Assemble the command line from `VERBS`."""
    app = typer.Typer(
        help="Align radiographs with radiology reports: import, train, evaluate, index, search.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for verb, home in VERBS.items():
        module, _, attribute = home.partition(":")
        command = getattr(import_module(f"radalign.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=verb)
        else:
            app.command(verb)(command)
    return app


def main() -> None:
    """Run a verb; a mendable error becomes one sentence and exit code 2."""
    try:
        build_app()()
    except (ValueError, OSError) as error:
        from rich.console import Console

        Console(stderr=True).print(
            f"[bold red]radalign:[/] {error}", highlight=False, markup=True, soft_wrap=True
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nStopped. What was finished is kept; the same command goes on from there where it can.\n"
        )
        sys.exit(130)
