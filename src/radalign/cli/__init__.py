"""The command line: one file per verb, no logic of its own, nothing heavy imported until a verb runs.

A verb is a function with typed options in `cli/<verb>.py`; a family of verbs is a typer app there. Errors
that a user can mend are sentences on stderr and exit code 2.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple, NoReturn

import typer


class Verb(NamedTuple):
    """Where a verb lives in this package (`module:attribute`), and its line in the overview."""

    home: str
    line: str


VERBS = {
    "data": Verb("data:app", "Studies into one manifest: import, simulate, show, split."),
    "train": Verb("train:train", "Train a system: adapters on frozen encoders, resumable after a kill."),
    "few-shot": Verb("few_shot:few_shot", "Train and test with few labels: a table of methods by shots."),
    "evaluate": Verb("evaluate:evaluate", "Evaluate a trained system: numbers with intervals."),
    "leaderboard": Verb("leaderboard:leaderboard", "Many systems under one budget, on one page."),
    "compare": Verb("compare:compare", "Two runs or two results, number by number."),
    "index": Verb("index:index", "Bring an index up to date with a manifest."),
    "search": Verb("search:search", "Find studies by words, by image or by study."),
    "profile": Verb("profile:profile", "What a system costs: parameters, FLOPs, latency, memory."),
    "recipes": Verb("recipes:recipes", "List the packaged recipes, or print one in full."),
    "report": Verb("report:app", "Reports: cut into sections, cleaned, read for findings."),
    "deidentify": Verb("deidentify:deidentify", "Take identities out of a folder of DICOM files."),
    "doctor": Verb("doctor:doctor", "Can this installation do what it should, and if not, what to do?"),
    "weights": Verb("weights:app", "Released checkpoints into radalign folders, adapters merged."),
}


def build_app(wanted: str | None = None) -> typer.Typer:
    """Assemble the command line; None imports every verb, a name that one, "" none (for the overview)."""
    app = typer.Typer(
        help="Align radiographs with radiology reports: import, train, evaluate, index, search.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, verb in VERBS.items():
        if wanted is not None and name != wanted:
            app.command(name, help=verb.line)(_not_imported)
            continue
        module, _, attribute = verb.home.partition(":")
        command = getattr(import_module(f"radalign.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run a verb; a mendable error becomes one sentence and exit code 2."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        build_app(wanted)()
    except (ValueError, OSError) as error:
        _refuse(str(error))
    except _damaged_file() as error:
        _refuse(f"A file that was read is damaged ({error}); find it among the input and fetch it again.")
    except (KeyboardInterrupt, SystemExit) as end:
        if not _is_from_the_keyboard(end):
            raise
        sys.stderr.write("\nStopped. What was finished is kept; the same command goes on where it can.\n")
        sys.exit(130)


def _is_from_the_keyboard(end: BaseException) -> bool:
    """Whether Ctrl-C is behind it: within a verb, typer turns it into an exit, without a word."""
    within = end.__context__.__cause__ if end.__context__ else None
    return isinstance(end, KeyboardInterrupt) or isinstance(within, KeyboardInterrupt)


def _damaged_file() -> tuple[type[Exception], ...]:
    """What the standard library raises for damaged archives and tables, where no reader named the file.

    A KeyError is not among these: it says nothing of the input, and its traceback is what finds the fault.
    """
    from csv import Error
    from zipfile import BadZipFile
    from zlib import error

    return error, BadZipFile, Error


def _refuse(sentence: str) -> NoReturn:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text.assemble(("radalign: ", "bold red"), sentence), soft_wrap=True)
    sys.exit(2)


def _not_imported() -> None:
    """Stands for a verb in the overview."""
