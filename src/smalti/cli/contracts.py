"""``smalti contracts``: what files must be, as a list and as pages that are generated from the contracts themselves."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from smalti.cli.options import AsJson, print_json

app = typer.Typer(no_args_is_help=True, help="What files must be: the contracts, and a page about each.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="E.g. scan, scan/1, or path.py:NAME for one of yours.")]


@app.command("list")
def list_contracts(json_output: AsJson = False) -> None:
    """List every contract: ours, and those of the file that SMALTI_CONTRACTS names."""
    from smalti.contracts.registry import contracts

    known = contracts()
    if json_output:
        print_json([{"id": c.id, "name": c.name, "version": c.version, "summary": c.summary} for c in known])
        return
    width = max(len(contract.id) for contract in known)
    for contract in known:
        typer.echo(f"{contract.id:<{width}}  {contract.summary}")


@app.command()
def show(
    name: Name,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a page of documentation.")] = False,
    json_output: AsJson = False,
) -> None:
    """Show what a contract asks for."""
    from smalti.contracts.registry import contract_named

    contract = contract_named(name)
    if json_output:
        print_json({"id": contract.id, "digest": contract.digest, **json.loads(contract.model_dump_json())})
    elif markdown:
        typer.echo(contract.describe(), nl=False)
    else:
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(contract.describe()))
