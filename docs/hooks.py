"""What the documentation site generates at build time: the command line, the module reference, the notebooks.

MkDocs calls the `on_…` functions (see `hooks` in mkdocs.yml). Nothing here is imported by duetto.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from duetto.cli import app

ROOT = Path(__file__).parents[1]
COMMANDS = "<!-- commands -->"
"""Where `cli.md` lists every command."""
MODULES = "<!-- modules -->"
"""Where `api.md` links the page of every module."""


def _is_reference(record: logging.LogRecord) -> bool:
    """Whether a warning of autorefs is about a link; docstrings have none, but `a[i][j]` in them looks like one."""
    return not ("cross-reference target" in record.getMessage() and "/src/duetto/" in record.getMessage())


for _part in ("plugin", "references"):
    logging.getLogger(f"mkdocs.plugins.mkdocs_autorefs._internal.{_part}").addFilter(_is_reference)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the modules to the navigation, under Reference.

    Args:
        config: The configuration of the site.

    Returns:
        The same, with the pages.
    """
    (reference,) = (part["Reference"] for part in config.nav or () if "Reference" in part)
    reference.insert(2, {"Modules": [{f"duetto.{name}": f"api/{name}.md"} for name in modules()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every module of the package and for every notebook.

    Args:
        files: The pages found in docs/.
        config: The configuration of the site.

    Returns:
        The same, with the generated pages.
    """
    for name in modules():
        content = f"# duetto.{name}\n\n::: duetto.{name}\n    options: {{show_root_heading: false, heading_level: 2}}\n"
        files.append(File.generated(config, f"api/{name}.md", content=content))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        content = markdown_of(json.loads(path.read_text(encoding="utf-8")), path.name)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the generated parts of a page, and the files of the repository that it includes.

    Args:
        markdown: The text of the page.
        page: The page.
        config: The configuration of the site.
        files: All pages.

    Returns:
        The text with everything in its place.
    """
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n".join(command_lines(typer.main.get_command(app), ("duetto",))))
    if MODULES in markdown:
        markdown = markdown.replace(MODULES, "\n".join(f"- [`duetto.{name}`](api/{name}.md)" for name in modules()))
    return re.sub(r"^<!-- include (\S+) -->$", lambda match: included(match[1]), markdown, flags=re.M)


def modules() -> list[str]:
    """Modules of the package in the order of the data flow, as architecture.md lists them."""
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+)/?` \|", table, flags=re.M)


def included(name: str) -> str:
    """A file of the repository as part of a page: links into docs/ are kept, those to other files become plain text."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"\]\((?:\.\./)*docs/([^)]+)\)", r"](\1)", text)
    return re.sub(r"\[([^\]]+)\]\((?!https?://|#|[\w-]+\.md)[^)]*\)", r"\1", text)


def command_lines(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The help of a command and of its subcommands as Markdown.

    Args:
        command: A command, or a group of them.
        path: The words that call it.

    Yields:
        Lines.
    """
    if len(path) > 1:
        yield f"{'#' * len(path)} `{' '.join(path)}`\n"
        yield f"{help_of(command.help or '')}\n"
        if not hasattr(command, "list_commands"):
            yield from parameter_lines(command)
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from command_lines(command.get_command(None, name), (*path, name))


def help_of(text: str) -> str:
    """The docstring of a command with its examples as one code block."""
    described, marker, examples = re.sub(r"[\b\f]", "", text).partition("Example")
    if not marker:
        return described
    commands = [" ".join(part.split()) for part in examples.partition(":")[2].split("\n\n") if part.strip()]
    return "\n".join((described.rstrip(), "\n```bash", *commands, "```"))


def parameter_lines(command: Any) -> Iterator[str]:
    """A table of arguments and options."""
    yield "| argument or option | default | |\n| --- | --- | --- |"
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_option = parameter.param_type_name == "option"
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        shown = names if is_option else f"`{parameter.name.upper()}`"
        default = "required" if parameter.required else default_of(parameter.default)
        described = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
        yield f"| {shown} | {default} | {described} |"
    yield ""


def default_of(value: Any) -> str:
    """A default for people; nothing where there is none."""
    plain = value is None or value is False or value == () or callable(value) or "Sentinel" in type(value).__name__
    return "" if plain or type(value).__name__ == "UNSET" else f"`{value}`"


def markdown_of(notebook: dict[str, Any], name: str) -> str:
    """A notebook as a page: its text, its code, and what the code printed."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source.replace("](../docs/", "](../"))
        elif source:
            parts.append(f"```python\n{source}\n```")
            parts += [f"```text\n{text.rstrip()}\n```" for text in map(printed, cell["outputs"]) if text.strip()]
    return "\n\n".join((*parts, f"*This page is `notebooks/{name}` of the repository.*"))


def printed(output: dict[str, Any]) -> str:
    """The text of one output of a cell."""
    return "".join(output.get("text") or output.get("data", {}).get("text/plain") or "")
