"""The architecture, read from the code: imports point one way, files and functions stay small."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "duetto"
FILES = sorted(ROOT.rglob("*.py"))

# A module may import only from modules above it. docs/architecture.md explains the order.
ORDER = (
    "errors",
    "utils",
    "audio",
    "metrics",
    "data",
    "corpora",
    "splits",
    "synthetic",
    "features",
    "asr",
    "embeddings",
    "config",
    "preprocessing",
    "models",
    "baselines",
    "evaluation",
    "runs",
    "audit",
    "report",
    "inference",
    "behaviour",
    "training",
    "experiments",
    "recipes",
    "live",
    "server",
    "scale",
    "cli",
)
# The package's own entry point offers `load` lazily and stands outside the order.
TORCH = {"models", "training", "experiments", "recipes"}
"""Packages that import PyTorch; of `models`, `onnx` does not."""
ONE_OWNER = {
    "soundfile": "audio/decode",
    "soxr": "audio/io",
    "pocketsphinx": "asr/sphinx",
    "onnxruntime": "utils/onnx_runtime",
    "onnx": "models/onnx",
    "safetensors": "training/checkpoint",
    "lightning": "training/loop",
    "gensim": "embeddings/word2vec",
    "faster_whisper": "asr/whisper",
    "transformers": "training/wav2vec2_weights",
    "espeakng_loader": "synthetic/espeak",
    "jinja2": "report/rendering",
    "pandas": "utils/dataframes",
    "huggingface_hub": "utils/hub",
    "sounddevice": "live/microphone",
    "fastapi": "server",
    "starlette": "server",
    "uvicorn": "server",
    "python_multipart": "server/uploads",
    "prometheus_client": "server/metrics",
    "fsspec": "scale/storage",
    "pyarrow": ("features/tables", "scale/parquet"),  # two formats of files
    "ray": ("utils/ray_cluster", "scale/engines/ray_data"),
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 40
"""Lines; those of a function without its docstring."""
LONGER = {
    "cli/align.align": "eleven options",
    "cli/evaluate.evaluate": "nineteen options",
    "cli/predict.predict": "sixteen options",
    "cli/serve.serve": "fifteen options",
    "cli/stream.stream": "thirteen options",
    "cli/timeline.timeline": "seventeen options",
    "cli/test.test": "thirteen options",
    "cli/train.train": "sixteen options",
    "training/speech2vec.train": "nine settings of one training",
}
"""Functions that may be longer, by half, and why."""
MOST_ENTRIES = 30
"""Entries of the package folder."""


def part(path: Path) -> str:
    """The module of ORDER that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path, *, late: bool) -> Iterator[tuple[str, int]]:
    """Absolute dotted names that a file imports; `late` includes those inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("duetto", *path.relative_to(ROOT).parent.parts)
    nodes: list[ast.AST] = list(ast.walk(tree)) if late else list(_eager(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module or "")))
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def _eager(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run at import: not inside functions, not under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _eager(child)


def test_every_module_has_its_place_in_the_order() -> None:
    assert {part(path) for path in FILES} - {"__init__"} <= set(ORDER)


def test_the_documentation_lists_the_modules_in_this_order() -> None:
    table = (ROOT.parents[1] / "docs/architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)/?` \|", table, flags=re.M)) == ORDER


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_up_the_order(path: Path) -> None:
    if part(path) == "__init__":
        return
    place = ORDER.index(part(path))
    for name, line in imports(path, late=True):
        if name.startswith("duetto."):
            other = name.split(".")[1]
            assert other in ORDER, f"{path}:{line} imports {name}"
            assert ORDER.index(other) <= place, f"{path}:{line} imports {name}, which stands below it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_stays_where_it_belongs(path: Path) -> None:
    torch_free = path.is_relative_to(ROOT / "models/onnx")
    if part(path) in TORCH and not torch_free:
        return
    for name, line in imports(path, late=part(path) != "cli"):
        top = name.split(".")[0]
        assert top not in ("torch", "lightning"), f"{path}:{line} imports {name}"
        if name.startswith("duetto.") and not name.startswith("duetto.models.onnx"):
            assert name.split(".")[1] not in TORCH, f"{path}:{line} imports {name}, which imports torch"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_one_module_owns_each_io_library(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").as_posix()
    for name, line in imports(path, late=True):
        owners = ONE_OWNER.get(name.split(".")[0], own)
        owners = (owners,) if isinstance(owners, str) else owners
        assert any(own == owner or own.startswith(f"{owner}/") for owner in owners), (
            f"{path}:{line} imports {name}, which only {' and '.join(owners)} may"
        )


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, less those of its docstring."""
    documented = ast.get_docstring(function, clean=False) is not None
    own, docstring = (node.end_lineno - node.lineno + 1 for node in (function, function.body[0]) if node.end_lineno)
    return own - docstring * documented


def test_the_package_folder_is_small() -> None:
    assert len([entry for entry in ROOT.iterdir() if entry.name != "__pycache__"]) <= MOST_ENTRIES


def test_no_import_cycle() -> None:
    """Not even one that late imports or annotations hide."""
    names = {".".join(("duetto", *path.relative_to(ROOT).with_suffix("").parts)): path for path in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {name: imported_modules(path, names) - {name} for name, path in names.items()}
    list(TopologicalSorter(graph).static_order())  # a CycleError names the modules


def imported_modules(path: Path, names: dict[str, Path]) -> set[str]:
    """The modules of the package that a file imports from."""
    found = set()
    for name, _ in imports(path, late=True):
        found.add(name if name in names else name.rsplit(".", 1)[0])
    return found & set(names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_small_and_hold_no_forbidden_thing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{path.relative_to(ROOT).with_suffix('').as_posix()}.{node.name}"
            most = LONGEST_FUNCTION * 3 // 2 if name in LONGER else LONGEST_FUNCTION
            assert code_lines(node) <= most, f"{path}:{node.lineno} {node.name}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and part(path) != "cli":
            assert node.func.id not in ("print", "eval", "exec"), f"{path}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} bare except"
    assert not re.search(r"import pickle|allow_pickle=True|TODO|FIXME", text)


WRITES = {
    "utils/files",
    "features/_store_files",  # appends, and syncs data before index
    "features/tables",  # members of an archive, in a temporary file
    "asr/cache",  # appends to a journal
    "asr/language_model",  # temporary files, for pocketsphinx
    "cli/features",  # a stream, into a temporary folder
    "cli/streams",
    "audio/messages",  # standard error
    "audio/ffmpeg",  # a copy for another process, in memory or temporary
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_one_module_puts_files_in_place(path: Path) -> None:
    """Any other would forget to sync, to clear up after a kill, or that its target is a link or a device."""
    if path.relative_to(ROOT).with_suffix("").as_posix() in WRITES:
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not re.search(r"\bos\.(replace|rename|link)\(|\.rename\(|shutil\.(move|copy)", line), line
        assert not re.search(r"(?<!\bfiles)\.write_(text|bytes)\(", line), line
        assert "temporary.open" in line or not re.search(r"open\(.*[\"'][wxa]b?[\"']", line), line


HEAVY = (
    "torch",
    "lightning",
    "sklearn",
    "scipy",
    "gensim",
    "matplotlib",
    "onnx",
    "jinja2",
    "pandas",
    "transformers",
    "ray",
    "fastapi",
    "uvicorn",
)


@pytest.mark.parametrize("statement", ["import duetto", "import duetto.inference.recogniser", "import duetto.cli"])
def test_core_loads_nothing_from_the_extras(statement: str) -> None:
    code = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_two_ways_in_the_documentation_are_calls_of_the_code() -> None:
    """Each line names a function or class, or an instance of a class that is called, and the file that defines it."""
    text = (ROOT.parents[1] / "docs/architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"^([\w.]+)\(.*\)\s+(\w+\S*\.py)\s", text, flags=re.M)
    assert len(steps) == 21
    for call, file in steps:
        name = call.rsplit(".", 1)[-1]
        names = {name, name.title().replace("_", "")}  # word_finder(…) calls a WordFinder
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert names & {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}, (call, file)
