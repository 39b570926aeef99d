"""Redraw the tables and figures of docs/results.md and docs/results_by_head.md from run folders.

python scripts/make_results_page.py runs/study_endoscapes runs/study_vocalfolds runs/study_synthetic
python scripts/make_results_page.py docs/studies/*.tar.xz

The full-pool runs of a sweep are in the folder of the same name with _full behind it, beside it; fresh_liver has those
of study_liver_full, if it is given and there are none of its own. A table stands on the page between <!-- table NAME
KIND --> and <!-- end -->: NAME is the sweep's folder, KIND joint, heads or rare. A NAME with a star, such as study_*,
is all sweeps of such names together, and its KIND gains, winners, penalties, trained or ahead:STRATEGY: what that one
gains over every other. A NAME with a plus, such as short_liver+long_liver, is two sweeps, and its KIND order: what
their common runs gain in the one and in the other. Of the figures of compare.py those are drawn that a page shows, as
images/NAME_joint_curves.png. Everything else is left as it is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from mtal.reporting.comparison import Comparison, compare
from mtal.reporting.comparison.comparison import are_references
from mtal.reporting.comparison.found_runs import Read, ReadOnce, read_finished
from mtal.reporting.comparison.markdown import ahead, order_of, over_all, tables_of
from mtal.reporting.comparison.packed import SUFFIX, as_folders
from mtal.reporting.comparison.report import paper_figures, write_picture
from mtal.reporting.comparison.same_order import same_order

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = [DOCS / "results.md", DOCS / "results_by_head.md"]
_FULL = "_full"
_AHEAD = "ahead:"
_MARKED = re.compile(r"(<!-- table (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, tables: Mapping[tuple[str, str], str]) -> str:
    """The page with the tables that there are; a marked place without one stays as it is."""

    def fill(found: re.Match[str]) -> str:
        table = tables.get((found[2], found[3]))
        return found[0] if table is None else f"{found[1]}{table}\n{found[4]}"

    return _MARKED.sub(fill, page)


def full_pool_of(sweep: Path) -> Path:
    """Where the full-pool runs of a sweep are: ``study_full`` for ``study``, ``study_full.tar.xz`` for a packed one."""
    name = sweep.name.removesuffix(SUFFIX)
    return sweep.with_name(f"{name}{_FULL}{SUFFIX if sweep.name.endswith(SUFFIX) else ''}")


def is_full_pool(sweep: Path) -> bool:
    """Whether a folder or file holds the full-pool runs of a sweep that lies beside it."""
    return sweep.name.removesuffix(SUFFIX).endswith(_FULL)


def reference_of(sweep: Path, references: Mapping[str, Path], read: Read = read_finished) -> list[Path]:
    """The full-pool runs of a sweep among all by name: its own, or under another name the first of the same data."""
    if (own := f"{sweep.name}{_FULL}") in references:
        return [references[own]]
    data = f"{sweep.name.partition('_')[2]}{_FULL}"
    alike = (found for name, found in references.items() if name.partition("_")[2] == data)
    return [found for found in alike if are_references(found, sweep, read)][:1]


def together(page: str, sweeps: Sequence[Path]) -> dict[str, list[Path]]:
    """The names with a star that the page has tables of, each with the sweeps of such names."""
    patterns = dict.fromkeys(found[2] for found in _MARKED.finditer(page) if "*" in found[2])
    return {pattern: [s for s in sweeps if fnmatch(s.name, pattern)] for pattern in patterns}


def kinds_of(page: str, name: str, start: str) -> list[str]:
    """The kinds of tables of a name on the page that begin with ``start``."""
    return [found[3] for found in _MARKED.finditer(page) if found[2] == name and found[3].startswith(start)]


def tables_together(
    page: str, pattern: str, members: Sequence[Path], references: Mapping[str, Path], read: Read
) -> dict[tuple[str, str], str]:
    """The tables of all sweeps of a name with a star."""
    full_pool = [found for sweep in members for found in reference_of(sweep, references, read)]
    comparison = compare(members, full_pool, read=read)
    settings = tuple(replace(s, name=name_of(s.name, pattern, members, comparison)) for s in comparison.settings)
    comparison = replace(comparison, settings=settings)
    tables = {(pattern, kind): table for kind, table in over_all(comparison).items()}
    for kind in kinds_of(page, pattern, _AHEAD):
        tables[pattern, kind] = ahead(kind.removeprefix(_AHEAD), comparison)
    return tables


def name_of(setting: str, pattern: str, members: Sequence[Path], comparison: Comparison) -> str:
    """What a setting is called on the page: what stands for the star in the name of the sweep that all of it is of."""
    runs = [Path(run) for repeats in comparison.run_paths[setting].values() for run in repeats.values()]
    sweeps = {sweep.name for run in runs for sweep in members if sweep in run.parents}
    before, _, after = pattern.partition("*")
    return sweeps.pop().removeprefix(before).removesuffix(after) if len(sweeps) == 1 else setting


def pairs_of(page: str, sweeps: Sequence[Path]) -> dict[str, tuple[Path, Path]]:
    """The names with a plus that the page has tables of, each with its two sweeps, where both are given."""
    by_name = {sweep.name: sweep for sweep in sweeps}
    names = dict.fromkeys(found[2] for found in _MARKED.finditer(page) if "+" in found[2])
    pairs = {name: name.split("+") for name in names}
    return {name: (by_name[a], by_name[b]) for name, (a, b) in pairs.items() if {a, b} <= by_name.keys()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", type=Path, nargs="+", metavar="SWEEP", help="folders of sweeps, or packed")
    parser.add_argument("--page", type=Path, nargs="+", default=PAGES, dest="pages")
    arguments = parser.parse_args()
    pages = {file: file.read_text() for file in arguments.pages}
    everything = "\n".join(pages.values())
    tables: dict[tuple[str, str], str] = {}
    images = arguments.pages[0].parent / "images"
    images.mkdir(exist_ok=True)
    given = [sweep for sweep in arguments.sweeps if not is_full_pool(sweep)]
    full = [found for sweep in given if (found := full_pool_of(sweep)).exists()]
    full = list(dict.fromkeys([*full, *(sweep for sweep in arguments.sweeps if is_full_pool(sweep))]))
    try:
        with as_folders(given) as sweeps, as_folders(full) as references:
            by_name, read = {f.name: f for f in references}, ReadOnce()
            for sweep in sweeps:
                comparison = compare([sweep], reference_of(sweep, by_name, read), read=read)
                if len(comparison.settings) > 1:
                    raise ValueError(
                        f"{sweep} holds {len(comparison.settings)} settings; give each a folder of its own"
                    )
                tables |= {(sweep.name, kind): table for kind, table in tables_of(comparison.settings[0]).items()}
                for name, figure in paper_figures(comparison):
                    if f"images/{sweep.name}_{name}.png" in everything:
                        write_picture(figure, images / f"{sweep.name}_{name}.png")
            for pattern, members in together(everything, sweeps).items():
                if members:
                    tables |= tables_together(everything, pattern, members, by_name, read)
            for names, pair in pairs_of(everything, sweeps).items():
                tables[names, "order"] = order_of(same_order(*pair, read), [sweep.name for sweep in pair])
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    for file, page in pages.items():
        file.write_text(filled(page, tables))
        places = {(found[2], found[3]) for found in _MARKED.finditer(page)}
        print(f"wrote {len(places & set(tables))} tables of {len(places)} places into {file}")


if __name__ == "__main__":
    main()
