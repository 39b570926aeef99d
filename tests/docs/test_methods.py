"""docs/methods.md is what the code says, and says enough."""

import importlib.util
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("make_methods_page", REPOSITORY / "scripts" / "make_methods_page.py")
page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(page)
METHODS = [(title, m) for title, _, package, base, _ in page.SECTIONS for m in page.methods(package, base)]


def test_is_up_to_date():
    assert page.PAGE.read_text() == page.page(), "run python scripts/make_methods_page.py"


@pytest.mark.parametrize(("title", "method"), METHODS, ids=lambda v: getattr(v, "__name__", ""))
def test_says_formula_and_cost(title, method):
    assert page.formula(method)
    assert page.cost(method), f"the docstring of {method.__name__} has no «Cost: …»"


def test_names_sources_in_whole_sentences():
    rows = page.page().splitlines()
    assert not [row for row in rows if ":class:" in row]
    for _, method in METHODS:
        assert page.source(method).count("(") == page.source(method).count(")"), method.__name__


def test_reads_a_docstring():
    class Example:
        """Σ p: the sum.

        Author et al., VENUE 2020. More. Turns a·b (Other, J. Names 2002; Third, 1999), so to say. Cost: O(N). End.
        """

    assert page.formula(Example) == "Σ p: the sum"
    two = "Turns a·b (Other, J. Names 2002; Third, 1999), so to say"
    assert page.source(Example) == f"Author et al., VENUE 2020; {two}"
    assert page.cost(Example) == "O(N)"
