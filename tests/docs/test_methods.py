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


def test_reads_a_docstring():
    class Example:
        """Σ p: the sum.

        Author et al., VENUE 2020. More words. Cost: O(N). Last words.
        """

    assert page.formula(Example) == "Σ p: the sum"
    assert page.source(Example) == "Author et al., VENUE 2020"
    assert page.cost(Example) == "O(N)"
