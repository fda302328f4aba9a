"""The command line: ``b2bua serve|reload|check|doctor|demo|tones``.

Reads the arguments, calls the module that does the work, and turns its result into an exit code. Each command
imports the modules it needs, so that ``b2bua tones`` starts without a telephone system.
"""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from b2bua.settings import Settings

__all__ = ["app", "main"]

app = typer.Typer(
    name="b2bua",
    help="A SIP back-to-back user agent that runs TwiML <Dial>.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

WRONG_CONFIGURATION = 2


class LogFormat(enum.StrEnum):
    """Format of log lines."""

    CONSOLE = "console"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="TOML file. Default: a node on 127.0.0.1 with the users alice and bob.",
    ),
]


@app.command()
def serve(
    config: ConfigOption = None,
    log_format: Annotated[LogFormat, typer.Option(help="Format of the log on stderr.")] = LogFormat.CONSOLE,
) -> None:
    """Run a node in the foreground; SIGTERM drains it, a second SIGTERM stops it at once."""
    from b2bua.app import serve as run

    raise typer.Exit(run(config, log_format.value))


@app.command()
def reload(
    config: ConfigOption = None,
    new_code: Annotated[
        bool,
        typer.Option("--new-code", help="Start the controller anew, with the installed code."),
    ] = False,
) -> None:
    """Let the running node read its configuration again; no call is lost. Needs node.run_folder."""
    settings = _settings(config)
    from b2bua.reload import reload as tell

    problem = tell(settings.node.run_folder, new_code=new_code)
    if problem:
        typer.echo(problem, err=True)
        raise typer.Exit(1)


@app.command()
def check(
    config: ConfigOption = None,
    twiml: Annotated[
        list[Path] | None, typer.Argument(metavar="TWIML", help="TwiML files to validate.")
    ] = None,
) -> None:
    """Validate the configuration and TwiML files; print one line per finding.

    A line is FILE:LINE:COLUMN: error|warning NUMBER TEXT, where NUMBER is 0 for the configuration.

    A summary is printed to stderr.
    """
    from b2bua.check import check as look

    report = look(config, twiml or ())
    for finding in report.findings:
        typer.echo(str(finding))
    typer.echo(report.summary, err=True)
    raise typer.Exit(report.exit_code)


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Check whether a node can run here: library, codecs, ports, store, a call over loopback."""
    settings = _settings(config)
    from b2bua.doctor import doctor as examine

    raise typer.Exit(examine(settings))


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the recording, its picture and the SIP ladder.")
    ] = Path("b2bua-demo"),
    conference: Annotated[
        bool, typer.Option("--conference", help="Show a conference of three instead, with its events.")
    ] = False,
) -> None:
    """Run a complete call on free loopback ports and show it: fork, ringback, answer, talk, star."""
    if conference:
        from b2bua.demo_conference import demo_conference

        raise typer.Exit(demo_conference(out))
    from b2bua.demo import demo as perform

    raise typer.Exit(perform(out))


@app.command()
def tones(
    code: Annotated[
        str | None, typer.Argument(help="Country code as in the ringTone attribute, e.g. us.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.wav", help="Write one cadence cycle to this file.")
    ] = None,
) -> None:
    """Show the ringback of each country; write one as a WAV file."""
    from b2bua.tones_view import show

    raise typer.Exit(show(code, out))


def main() -> None:
    """Entry point of the ``b2bua`` script."""
    app()


def _settings(config: Path | None) -> "Settings":
    """Load the configuration, or print its errors and exit."""
    from b2bua.core.errors import ConfigError
    from b2bua.settings import load_settings

    try:
        return load_settings(config)
    except ConfigError as err:
        typer.echo(str(err), err=True)
    raise typer.Exit(WRONG_CONFIGURATION)
