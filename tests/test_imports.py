"""The house has no circles: modules import one way, and packages only those below them."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEVELS = [
    {"cores", "free_keys", "numbers", "progress", "refusals", "row_groups", "suggest", "whole_files"},
    {"frames"},
    {"datasets"},
    {"tasks"},
    {"models", "acquisition", "annotation", "reporting"},
    {"scoring"},
    {"learning"},
    {"launch"},
    {"selecting"},
]
"""Packages from the lowest up; each imports only what is below its own level."""
ONLY = {"acquisition": {"tasks"}, "reporting": {"datasets"}}
"""Packages that know less than that: tensors, and run folders."""


def modules(root: Path) -> dict[str, Path]:
    """Name → file of every module of the package ``mtal`` below ``root``; a package is its ``__init__``."""
    files = sorted((root / "mtal").rglob("*.py"))
    return {".".join(f.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ``known`` that a file imports anywhere, in functions and for types too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imports(root: Path) -> dict[str, set[str]]:
    """Module → the modules of ``mtal`` that it imports."""
    known = modules(root)
    return {name: {m for m in imported(file, known) if m in known} for name, file in known.items()}


def assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("these import each other: " + " ← ".join(error.args[1]))


def test_modules_have_no_circles():
    assert_no_circle(imports(ROOT))


def test_every_package_has_its_level_and_every_level_its_packages():
    packages = {name.split(".")[1] for name in modules(ROOT) if "." in name}
    assert sorted(name for names in LEVELS for name in names) == sorted(packages)


def test_packages_import_those_below_alone():
    level = {package: i for i, packages in enumerate(LEVELS) for package in packages}
    wrong = []
    for module, others in imports(ROOT).items():
        package = ".".join(module.split(".")[1:2])
        for other in sorted({o.split(".")[1] for o in others if "." in o} - {package}):
            allowed = {p for p, at in level.items() if at < level[package]}
            if other not in allowed & (ONLY.get(package, allowed) | LEVELS[0]):
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_a_circle_is_found(tmp_path):
    """For types alone, and by way of a package."""
    package = tmp_path / "mtal" / "a"
    package.mkdir(parents=True)
    (tmp_path / "mtal" / "__init__.py").touch()
    (package / "__init__.py").write_text("from mtal.a.one import One\n")
    (package / "one.py").write_text("if TYPE_CHECKING:\n    from mtal.a import two\n")
    (package / "two.py").write_text("def two():\n    from mtal.a import One\n")
    with pytest.raises(pytest.fail.Exception, match=r"these import each other: .*mtal\.a\.one"):
        assert_no_circle(imports(tmp_path))
