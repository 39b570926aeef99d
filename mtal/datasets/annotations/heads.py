"""Heads made of annotations: which categories are their classes, and what that says of an image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, Mark
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.palette import colors_of
from mtal.frames.index import COLUMNS
from mtal.suggest import nearest

_KEYS = ("kind", "support", "classes", "rest")


@dataclass(frozen=True)
class Head:
    """One entry of ``data.heads``.

    Args:
        task: its name.
        support: one label per ``"frame"`` (which categories occur) or per ``"pixel"`` (where they are).
        exclusive: one class per frame or pixel, rather than any number of them.
        classes: category → class; ``None`` for all categories, each a class (of pixels,
            those that are outlined anywhere).
        rest: class of pixels in which nothing is marked; ``None`` if they count as not annotated.
    """

    task: str
    support: Literal["frame", "pixel"]
    exclusive: bool
    classes: Mapping[str, str] | None = None
    rest: str | None = None

    @classmethod
    def parse(cls, task: str, entry: Mapping[str, Any]) -> Head:
        """A head from its entry ``{kind: multilabel|exclusive, support: frame|pixel, classes: …, rest: …}``.

        Raises:
            ValueError: an entry is unknown, misspelt or does not go with another.
        """
        where = f"data.heads.{task}"
        if task in COLUMNS:
            raise ValueError(f"{where}: a head cannot be called as a column of the frame index is; give another name")
        for key in entry if isinstance(entry, Mapping) else [entry]:
            if key not in _KEYS:
                raise ValueError(f"{where} has no {key!r}{nearest(str(key), _KEYS)}; it has {', '.join(_KEYS)}")
        support = entry.get("support", "frame")
        if support not in ("frame", "pixel"):
            raise ValueError(f"{where}.support is {support!r}; it must be frame or pixel")
        kind = entry.get("kind", "exclusive" if support == "pixel" else "multilabel")
        if kind not in ("multilabel", "exclusive"):
            raise ValueError(f"{where}.kind is {kind!r}; it must be multilabel or exclusive")
        classes = entry.get("classes")
        if classes is not None:
            pairs = classes.items() if isinstance(classes, Mapping) else [(c, c) for c in classes]
            classes = {str(category): str(name) for category, name in pairs}
            if not classes:
                raise ValueError(f"{where}.classes is empty; leave it out to take all categories")
        rest = entry.get("rest")
        if rest is not None and (support, kind) != ("pixel", "exclusive"):
            raise ValueError(f"{where}.rest is for pixels of one class each; remove it")
        return cls(task, support, kind == "exclusive", classes, None if rest is None else str(rest))

    def of(self, categories: Iterable[str]) -> Head:
        """The head with all ``categories`` as classes where it names none."""
        return self if self.classes is not None else replace(self, classes={c: c for c in categories})

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, that of the rest first."""
        assert self.classes is not None
        first = [] if self.rest is None else [self.rest]
        return tuple(dict.fromkeys([*first, *self.classes.values()]))

    def label_map(self) -> LabelMap:
        """Classes and colours."""
        return LabelMap(self.task, self.support, self.exclusive, self.names, colors_of(len(self.names)))

    def number(self, mark: Mark) -> int | None:
        """Class number of a mark, ``None`` if it belongs to no class."""
        assert self.classes is not None
        classes = self.classes if self.rest is None else {BACKGROUND: self.rest, **self.classes}
        return next((self.names.index(classes[name]) for name in mark.names if name in classes), None)

    def tags(self, image: AnnotatedImage, present: frozenset[str]) -> list[int] | int | None:
        """Label of a frame, ``None`` where nobody annotated it.

        Args:
            image: what is known of it.
            present: names of what is marked in it.

        Raises:
            ValueError: classes that exclude each other are both marked.
        """
        if not image.annotated:
            return None
        assert self.classes is not None
        there = {self.classes[name] for name in present if name in self.classes}
        if self.exclusive:
            if len(there) > 1:
                raise ValueError(f"{image.file} has {' and '.join(sorted(there))}")
            return self.names.index(there.pop()) if there else None
        unknown = {name for category, name in self.classes.items() if category in image.unknown}
        return [1 if name in there else IGNORE if name in unknown else 0 for name in self.names]

    def lacks_outlines(self, image: AnnotatedImage) -> bool:
        """A class of this head has a box, or a tag and no region, in an image without a mask of all classes."""
        if image.mask is not None:
            return False
        marked = {kind: {self.number(m) for m in image.marks if m.kind == kind} for kind in ("box", "tag", "region")}
        return bool((marked["box"] | (marked["tag"] - marked["region"])) - {None})
