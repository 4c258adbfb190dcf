"""Imports point downwards, without circles; heavy libraries load only where they are used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import potstill

ROOT = Path(potstill.__file__).parent
LAYERS = (
    ("__main__",),
    ("cli",),
    ("doctor",),
    ("pipeline",),
    ("measure", "cascade", "regress"),
    ("serve", "record"),
    ("export",),
    ("review",),
    ("stages",),
    ("labels",),
    ("data",),
    ("workspace",),
    ("recipe",),
    ("tasks",),
    ("models",),
    ("metrics",),
    ("answers", "stats", "rubrics"),
    ("interrupt",),
    ("progress", "config", "processor", "listening"),
    ("errors", "lazy"),
)
"""Each part of the package imports only what comes after it; parts of one layer do not import each other."""
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "scipy",
    "sklearn",
    "trl",
    "peft",
    "pyarrow",
    "aiohttp",
    "sympy",
    "numpy",
    "rouge_score",
    "sacrebleu",
    "starlette",
    "uvicorn",
    "markdown_it",
    "latex2mathml",
    "prometheus_client",
)


def modules():
    """Every module of the package with its syntax tree."""
    for file in sorted(ROOT.rglob("*.py")):
        name = ".".join(("potstill", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        yield name, ast.parse(file.read_text(encoding="utf-8"))


NAMES = {name for name, _ in modules()}


def imported(name, tree):
    """Modules of the package that a module imports anywhere in its code, with the packages that contain them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "potstill":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from with_parents(full if full in NAMES else node.module, name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "potstill":
                    yield from with_parents(alias.name, name)


def with_parents(target, importer):
    """A module and the packages whose `__init__` runs before it, unless they contain the importer too."""
    parts = target.split(".")
    for n in range(2, len(parts) + 1):
        package = ".".join(parts[:n])
        if package != importer and (package == target or not f"{importer}.".startswith(f"{package}.")):
            yield package


GRAPH = {name: set(imported(name, tree)) for name, tree in modules()}


def part(name):
    return name.split(".")[1] if "." in name else "potstill"


def test_the_graph_sees_imports():
    assert "potstill.workspace.run" in GRAPH["potstill.stages.generate"]
    assert "potstill.models.local.loading" in GRAPH["potstill.models.opening"], "imports within functions count"


def test_every_part_has_a_layer():
    assert {part(name) for name in NAMES} - {"potstill"} == {name for layer in LAYERS for name in layer}


@pytest.mark.parametrize("name", sorted(NAMES - {"potstill"}))
def test_imports_point_downwards(name):
    rank = {one: i for i, layer in enumerate(LAYERS) for one in layer}
    for target in GRAPH[name]:
        own, other = part(name), part(target)
        if own != other:
            assert rank[own] < rank[other], f"{name} imports {target}"


def test_there_is_no_circle():
    state = {}

    def visit(name, path):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", " -> ".join([*path[path.index(name) :], name])
        state[name] = "open"
        for target in sorted(GRAPH[name]):
            visit(target, [*path, name])
        state[name] = "done"

    for name in sorted(NAMES - {"potstill"}):
        visit(name, [])


@pytest.mark.parametrize("code", ["import potstill", "from potstill.cli import main"])
def test_heavy_libraries_stay_out(code):
    check = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_stage_code_in_package_files():
    for file in (ROOT / "stages").rglob("__init__.py"):
        assert len(ast.parse(file.read_text(encoding="utf-8")).body) == 1, f"{file} holds more than its docstring"
