"""Write docs/methods.md, the catalogue of acquisition methods, from the code and its docstrings.

python scripts/make_methods_page.py
python scripts/make_methods_page.py --check     only say whether the page is up to date
"""

import argparse
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import yaml

from mtal.acquisition import aggregation, fusion, normalizers, query, selectors, signals, weights

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "methods.md"
CONFIGS = REPOSITORY / "configs" / "acquisition"
INTRODUCTION = """# Methods

Generated from the code by `python scripts/make_methods_page.py`; every docstring says more.

N frames, T heads or columns, S sites of a frame (1, or the cells of a pixel head's map), C classes, D features, K
members, M labelled frames, b frames of the batch. *Choice* is what stands behind the option on the command line, as in
`acquisition/selector=badge`.
"""
_DOT, _SEMICOLON = "\ue000", "\ue001"  # those that end no sentence
SECTIONS: tuple[tuple[str, str, ModuleType, type, tuple[str, ...]], ...] = (
    (
        "Signals of one head",
        "`acquisition/signals`: one column for every head; Bernoulli and categorical, frame and pixel heads alike.",
        signals,
        signals.Signal,
        ("signals",),
    ),
    (
        "Signals of all heads together",
        "`acquisition/signals`: one column, under the name `shared`.",
        signals,
        signals.JointSignal,
        ("signals",),
    ),
    (
        "Signals of the whole pool",
        "`acquisition/signals`: read what the pass over the pool left behind.",
        signals,
        signals.PoolSignal,
        ("signals",),
    ),
    (
        "Aggregation over the sites of a pixel head",
        "`acquisition/sites`",
        aggregation,
        aggregation.SiteAggregation,
        ("sites",),
    ),
    (
        "Aggregation over the labels of a Bernoulli head",
        "`acquisition/labels`",
        aggregation,
        aggregation.LabelAggregation,
        ("labels",),
    ),
    ("Normalisers", "`acquisition/normalizer`", normalizers, normalizers.Normalizer, ("normalizer",)),
    (
        "Fusion",
        "`acquisition/fusion` for the heads, `acquisition/fusion@acquisition.signal_fusion` for the signals of a head.",
        fusion,
        fusion.Fusion,
        ("fusion",),
    ),
    ("Weights of the heads", "`acquisition/weights`", weights, weights.HeadWeights, ("weights",)),
    (
        "Selectors",
        (
            "`acquisition/selector`; for the initial set, of those that need features or times alone, "
            "`acquisition/selector@acquisition.cold_start`."
        ),
        selectors,
        selectors.Selector,
        ("selector",),
    ),
    (
        "Constraints",
        (
            "`acquisition.minimum_gap_s`, `max_per_video`, `max_per_patient`; `loop.batch_seconds`, "
            "`loop.batch_answers`. They compose."
        ),
        selectors,
        selectors.Rule,
        (),
    ),
    (
        "Heads of a picked frame",
        "`acquisition/query`; the costs are those of `acquisition/cost`.",
        query,
        query.Query,
        ("query",),
    ),
)


def page() -> str:
    parts = [INTRODUCTION]
    for title, text, package, base, groups in SECTIONS:
        choices = _choices(groups)
        rows = [_row(method, choices.get(method.__name__, [])) for method in methods(package, base)]
        needs = any(row[2] for row in rows)
        head = ["method", "choice", *(["needs"] if needs else []), "formula", "cost", "source"]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(c for i, c in enumerate(row) if needs or i != 2)} |" for row in rows]
        parts.append(f"## {title}\n\n{text}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def methods(package: ModuleType, base: type) -> list[type]:
    """Concrete methods of a package, in the order of its table of contents."""
    found = (getattr(package, name) for name in package.__all__)
    return [m for m in found if isinstance(m, type) and issubclass(m, base) and not inspect.isabstract(m)]


def formula(method: type) -> str:
    """First paragraph of the docstring, on one line."""
    return " ".join(_paragraphs(method)[0].split()).rstrip(".")


def cost(method: type) -> str:
    """What stands behind «Cost:» in the docstring."""
    found = re.search(r"\bCost:\s(.+?)(?:\.\s|\.$|$)", " ".join(" ".join(_paragraphs(method)).split()))
    return found.group(1) if found else ""


def source(method: type) -> str:
    """The sentences of the docstring that cite a year."""
    text = " ".join(" ".join(_paragraphs(method)).split())
    text = re.sub(
        r"\([^()]*\)", lambda within: within[0].replace(". ", f"{_DOT} ").replace("; ", f"{_SEMICOLON} "), text
    )
    text = re.sub(r"\b(et al|J|Proc)\. ", rf"\1{_DOT} ", text)
    sentences = re.split(r"(?<=[.;])\s+", text)
    cited = [s.rstrip(".;") for s in sentences if re.search(r"\b(19|20)\d\d\b", s)]
    return "; ".join(s.removeprefix("- ") for s in cited).replace(_DOT, ".").replace(_SEMICOLON, ";")


def _row(method: type, choices: list[str]) -> list[str]:
    needs = ", ".join(
        f"`{n}`"
        for n in sorted(getattr(method, "needs", ()) if isinstance(getattr(method, "needs", ()), frozenset) else ())
    )
    cells = [
        f"`{method.__name__}`",
        ", ".join(f"`{c}`" for c in choices),
        needs,
        formula(method),
        cost(method),
        source(method),
    ]
    plain = [re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", cell) for cell in cells]
    return [cell.replace("|", "\\|").replace("``", "`") for cell in plain]


def _paragraphs(method: type) -> list[str]:
    text = inspect.cleandoc(method.__doc__ or "").split("\nArgs:")[0].split("\nAttributes:")[0].split("\nRaises:")[0]
    return [p for p in text.split("\n\n") if p.strip() and not p.lstrip().startswith(">>>")]


def _choices(groups: tuple[str, ...]) -> dict[str, list[str]]:
    """Class name to the YAML files that make it."""
    made: dict[str, list[str]] = {}
    for group in groups:
        for file in sorted((CONFIGS / group).glob("*.yaml")):
            content = yaml.safe_load(file.read_text()) or {}
            for node in (content, *(v for v in content.values() if isinstance(v, dict))):
                if "_target_" in node:
                    made.setdefault(node["_target_"].rsplit(".", 1)[1], []).append(file.stem)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail where the page is not what the code says")
    wanted = page()
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text() != wanted:
            sys.exit("docs/methods.md is out of date; run python scripts/make_methods_page.py")
        return
    PAGE.write_text(wanted)
    print(f"wrote {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
