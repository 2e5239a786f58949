"""Everything public is documented: in Google's style, every parameter and every field by its name."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "duetto"
FILES = sorted(ROOT.rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Examples):$", re.M)
ENTRY = re.compile(r"^ {4}\*{0,2}(\w+):\s", re.M)


def sections(documented: Documented) -> dict[str, str]:
    """Heading of each section of a docstring → its text."""
    parts = SECTION.split(ast.get_docstring(documented) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(documented: Documented, heading: str) -> set[str]:
    return set(ENTRY.findall(sections(documented).get(heading, "")))


def parameters(function: Function) -> dict[str, ast.expr | None]:
    """Name of each parameter → its annotation."""
    every = function.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    return {a.arg: a.annotation for a in named if a is not None and a.arg not in ("self", "cls")}


def with_help(function: Function, options: set[str]) -> set[str]:
    """Parameters of a command, which `--help` documents: annotated with a text, or by a name in `options`."""
    return {
        name
        for name, annotation in parameters(function).items()
        if annotation is not None and (has_help(annotation) or ast.unparse(annotation) in options)
    }


def has_help(node: ast.AST) -> bool:
    return any(isinstance(n, ast.keyword) and n.arg == "help" for n in ast.walk(node))


def with_help_text(body: Iterable[ast.stmt]) -> set[str]:
    """Names that are assigned a type with a help text."""
    return {ast.unparse(n.targets[0]) for n in body if isinstance(n, ast.Assign) and has_help(n.value)}


SHARED_OPTIONS = with_help_text(ast.parse((ROOT / "cli/options.py").read_text(encoding="utf-8")).body)
"""Types of options that several commands share."""


def decorators(node: ast.ClassDef | Function) -> set[str]:
    return {name.id for d in node.decorator_list for name in ast.walk(d) if isinstance(name, ast.Name)}


def faults_of_function(function: Function, class_: ast.ClassDef | None, options: set[str]) -> Iterator[str]:
    if function.name == "__init__":
        if class_ is not None and (missing := set(parameters(function)) - entries(class_, "Args")):
            yield f"{class_.name}: parameters not under the class' `Args:`: {sorted(missing)}"
        return
    if function.name.startswith("_"):
        return
    if not ast.get_docstring(function):
        yield f"{function.name}: no docstring"
        return
    if missing := set(parameters(function)) - entries(function, "Args") - with_help(function, options):
        yield f"{function.name}: not under `Args:`: {sorted(missing)}"
    if unknown := entries(function, "Args") - set(parameters(function)):
        yield f"{function.name}: `Args:` names {sorted(unknown)}, which it does not take"
    gives = function.returns is not None and ast.unparse(function.returns) not in ("None", "NoReturn", "Never")
    read_only = decorators(function) & {"property", "cached_property"}
    if gives and not read_only and not {"Returns", "Yields"} & set(sections(function)):
        yield f"{function.name}: no `Returns:` or `Yields:`"


def faults_of_class(class_: ast.ClassDef) -> Iterator[str]:
    if not ast.get_docstring(class_):
        yield f"{class_.name}: no docstring"
    fields = {
        n.target.id: place
        for place, n in enumerate(class_.body)
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and not n.target.id.startswith("_")
        if n.value is None or "ClassVar" not in ast.unparse(n.annotation)  # described where it is declared
    }
    beside = {
        name
        for name, place in fields.items()
        if place + 1 < len(class_.body)
        and isinstance(after := class_.body[place + 1], ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    missing = set(fields) - beside - entries(class_, "Attributes") - entries(class_, "Args")
    if missing:
        yield f"{class_.name}: fields not under `Attributes:` and without a docstring of their own: {sorted(missing)}"


def faults(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """What is missing in the docstrings of a module or class and of what is public in it."""
    options = SHARED_OPTIONS | with_help_text(node.body)
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from faults_of_class(child)
            yield from faults(child)
        elif isinstance(child, Function) and "overload" not in decorators(child):
            yield from faults_of_function(child, node if isinstance(node, ast.ClassDef) else None, options)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_everything_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = list(faults(tree))
    if not ast.get_docstring(tree):
        found.insert(0, "no docstring of the module")
    assert not found, "\n".join(found)


def test_the_check_finds_what_is_missing() -> None:
    text = '''
class Box:
    """A box.

    Attributes:
        width: In metres.
    """

    width: float
    height: float
    depth: float
    """In metres."""

    def volume(self, factor: float, *, rounded: bool) -> float:
        """Volume.

        Args:
            factor: What it is multiplied by.
            other: Nothing.
        """
        return 0.0

def bare(): ...
'''
    assert list(faults(ast.parse(text))) == [
        "Box: fields not under `Attributes:` and without a docstring of their own: ['height']",
        "volume: not under `Args:`: ['rounded']",
        "volume: `Args:` names ['other'], which it does not take",
        "volume: no `Returns:` or `Yields:`",
        "bare: no docstring",
    ]
