"""The command about this machine."""

from dataclasses import asdict

import typer

from potstill.cli.options import RUNS, AsJson, Runs, emit


def add_to(app: typer.Typer) -> None:
    app.command(name="doctor")(examine)


def examine(runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Say what this machine offers and lacks, and how to fix what is missing."""
    from potstill import doctor

    findings = []
    for finding in doctor.examine(runs):
        findings.append(asdict(finding))
        if not as_json:
            print(f"{finding.what}: {finding.found}" + (f"\n  {finding.fix}" if finding.fix else ""), flush=True)
    if as_json:
        emit(findings, as_json, str)
