"""Every code block of README and documentation works: it runs, or is checked, from a fresh state."""

import doctest
import importlib
import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

import documented
from documented import PAGES, ROOT, blocks, commands, duetto_calls, parse, quick, run
from duetto.config import experiment
from duetto.corpora import generic
from duetto.corpora.labelling import read_labels

NOT_RUN = {
    r"^reproduce\b": "takes hours; tests/test_reproduce.py runs it in small",
    r"\$DUETTO_DATA": "needs a real corpus",
    r"\bRAVDESS\b|ravdess\.jsonl|joined\.jsonl|EmoBox/|mine\.jsonl|mine-adapted": "needs recordings of a real corpus",
    r"^encoder build wavlm": "needs weights of WavLM; tests/test_ssl_encoders.py builds encoders of random ones",
    r"^push |hub:": "needs the Hub; tests/test_hub.py has a stand-in",
    r"--set initial=": "needs weights of torchvision",
    r"sentences": "needs the weights of a sentence encoder",
    r"^(predict|stream) -( |$)": "reads standard input",
    r"^stream microphone": "needs a microphone",
    r"--engine ray": "starts a cluster; tests/test_scale_ray.py does that",
    r"s3://": "needs an object store",
    r"^serve\b": "serves until a signal ends it; test_server_process.py does that",
}
"""Calls that are only parsed, and why: pattern → reason."""
MEASURED = ("results.md", "reproducibility.md", "performance.md")
"""Pages whose commands made the figures beside them, on corpora of full size: they are only parsed."""
OTHERS = {"make", "pip", "python", "ffmpeg", "git", "cd", "cat", "curl"}
PACKAGES = sorted(path.stem for path in (ROOT / "src/duetto").iterdir() if not path.name.startswith("_"))
FILES = (".f32", ".json", ".npz", ".html", ".md", ".jsonl")
MODULES = sorted(
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "src/duetto").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the documentation names."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("world")
    documented.write_world(folder)
    return folder


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of them, as the working folder; features and vectors are shared, since they are only a cache."""
    folder = tmp_path / "here"
    shutil.copytree(world, folder, ignore=shutil.ignore_patterns("cache"))
    (folder / "cache").symlink_to(world / "cache")
    for manifest in folder.glob("**/*.jsonl"):
        manifest.write_text(manifest.read_text().replace(str(world), str(folder)))
    monkeypatch.chdir(folder)
    return folder


def reason_not_to_run(arguments: list[str], page: Path) -> str | None:
    if page.name in MEASURED:
        return "made the figures of this page"
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, " ".join(arguments))), None)


def matching(pattern: str) -> list[str]:
    """The files that the shell would put in the place of a pattern."""
    return sorted(map(str, Path().glob(pattern))) if "*" in pattern and not pattern.startswith("/") else []


def run_shell(text: str, page: Path) -> None:
    """Run the commands of a shell block that can be run; check the others."""
    for words in commands(text):
        for arguments in duetto_calls(words):
            if arguments != ["--version"]:
                parse(arguments)
            if reason_not_to_run(arguments, page):
                continue
            expanded = [name for word in arguments for name in (matching(word) or [word])]
            if expanded[0] == "train" or expanded[:2] == ["corpus", "synthesise"]:
                out = expanded[expanded.index("-o") + 1] if "-o" in expanded else expanded[2]
                shutil.rmtree(out, ignore_errors=True)  # the world has it already
            output = run(quick(expanded))
            if ">" in words:
                Path(words[words.index(">") + 1]).write_text(output)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_the_blocks_of_a_page_work(page: Path, here: Path) -> None:
    """In their order, in one folder; every Python block in a namespace of its own. (CONTRIBUTING.md adds modules to the
    package: test_contributing.py does that in a copy.)"""
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.title:
            (here / block.title).write_text(block.text)
        if block.language == "python":
            exec(compile(block.text, where, "exec"), {"__name__": "documented"})
        elif block.language == "bash":
            run_shell(block.text, page)
        elif block.language == "toml" and "path" in tomllib.loads(block.text):
            assert generic.read_layout(here / block.title).title, where
        elif block.language == "toml" and "labels" in tomllib.loads(block.text):
            assert read_labels(here / block.title).label_map("ravdess"), where
        elif block.language == "toml":
            assert experiment.load(here / block.title).name if block.title else tomllib.loads(block.text), where
        elif block.language == "json":
            read_json(block.text)
        elif block.language == "yaml":
            assert {"apiVersion", "kind", "spec"} <= yaml.safe_load(block.text).keys(), where


def read_json(text: str) -> None:
    """One value, or one a line."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            json.loads(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_has_a_language_that_is_checked(page: Path) -> None:
    for block in blocks(page):
        assert block.language in documented.LANGUAGES, f"{page.name}:{block.line}: {block.language!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_not_duettos_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for block in blocks(page):
        for words in commands(block.text) if block.language == "bash" else ():
            words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
            first, arguments = words[0], words[1:]
            where = f"{page.name}:{block.line}: {' '.join(words)}"
            assert first in OTHERS | {"duetto"}, where
            if first == "make":
                assert set(arguments) <= targets, where
            elif first == "pip":
                named = re.findall(r"\.\[([\w,]+)\]", " ".join(arguments))
                assert all(set(names.split(",")) <= set(extras) for names in named), where
            elif first == "python" and arguments[0].endswith(".py"):
                script = (ROOT / arguments[0]).read_text(encoding="utf-8")
                for option in (word for word in arguments if word.startswith("--")):
                    assert f'"{option}"' in script or f'"{option}"' in harness(), f"{where}: {option}"


def harness() -> str:
    """The options that all benchmarks share."""
    return (ROOT / "benchmarks/harness.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", documented.FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "api/")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_package_exist(page: Path) -> None:
    """`duetto.module.name` and `folder/file.py` in the text are what the package has."""
    text = documented.FENCE.sub("", page.read_text(encoding="utf-8"))
    for dotted in set(re.findall(r"`duetto((?:\.\w+)+)(?:\([^`]*\))?`", text)):
        assert resolves("duetto" + dotted), f"{page.name}: duetto{dotted}"
    for dotted in set(re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`", text)):
        assert Path(dotted).suffix in FILES or resolves(f"duetto.{dotted}"), f"{page.name}: {dotted}"
    for name in set(re.findall(r"`((?:\w+/)+\w+\.(?:py|md|toml))`", text)):
        assert page.name == "CONTRIBUTING.md" or (ROOT / name).is_file() or (ROOT / "src/duetto" / name).is_file(), (
            f"{page.name}: {name}"
        )


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_pages_named_in_the_code_exist() -> None:
    for folder in ("src", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in re.findall(r"\bdocs/[\w-]+\.md", path.read_text(encoding="utf-8")):
                assert (ROOT / name).is_file(), f"{path}: {name}"


def help_examples(command: object, path: tuple[str, ...] = ()) -> list[list[str]]:
    """The calls in the help of every command."""
    if hasattr(command, "list_commands"):
        children = [(name, command.get_command(None, name)) for name in command.list_commands(None)]
        return [call for name, child in children for call in help_examples(child, (*path, name))]
    text = re.sub(r"[\b\f]", "", getattr(command, "help", "") or "").partition("Example")[2]
    lines = [" ".join(part.split()) for part in text.split("\n\n")]
    return [call for line in lines if line.startswith("duetto ") for words in commands(line) for call in
            duetto_calls(words)]  # fmt: skip


@pytest.mark.parametrize("arguments", help_examples(documented.COMMAND), ids=" ".join)
def test_examples_in_help_parse(arguments: list[str]) -> None:
    parse(arguments)


def test_every_reason_not_to_run_is_needed() -> None:
    calls = [
        " ".join(arguments)
        for page in PAGES
        for block in blocks(page)
        if block.language == "bash" and page.name not in MEASURED
        for words in commands(block.text)
        for arguments in duetto_calls(words)
    ]
    for pattern in NOT_RUN:
        assert any(re.search(pattern, call) for call in calls), f"no documented call matches {pattern}; delete it"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str, here: Path) -> None:
    failed, tried = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert tried and not failed
