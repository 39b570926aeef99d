"""Three frames of two patients, annotated in every format: a table, COCO, CVAT, LabelMe, VOC, YOLO and mask images."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from miniature.squares import H, W, grow, picture, save
from PIL import Image
from pycocotools import mask as coco_mask

Frames = dict[str, tuple[list[list[int]], list[str]]]
"""Patient and number → squares of its mask, and tools."""
# gray 1 is liver, 2 is fat; the second frame was annotated and shows nothing
FRAMES: Frames = {
    "ada/0004": ([[0, 1, 1, 0], [0, 1, 2, 0], [0, 0, 2, 2]], ["hook"]),
    "ada/0009": ([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], []),
    "ben/0002": ([[2, 2, 0, 0], [2, 0, 0, 0], [0, 0, 1, 1]], ["hook", "clip"]),
}
CATEGORIES = ["liver", "fat", "hook", "clip"]
HEADS = {
    "tools": {"kind": "multilabel", "classes": ["hook", "clip"]},
    "anatomy": {"kind": "exclusive", "support": "pixel", "classes": ["liver", "fat"], "rest": "other"},
}
BOX = (1, 2, 5, 7)  # x, y, x, y of any tool


def write_images(root: Path, frames: Frames = FRAMES) -> Path:
    """``images/<patient>/<number>.png``, and the table ``frames.csv`` with its masks."""
    rows = ["image,patient,split,tool_hook,tool_clip,mask"]
    for k, (name, (squares, tools)) in enumerate(frames.items()):
        save(root / "images" / f"{name}.png", picture(k))
        save(root / "gray" / f"{name}.png", grow(squares))
        patient = name.partition("/")[0]
        split = "test" if patient == "ben" else "pool"
        has = ",".join(str(int(tool in tools)) for tool in ("hook", "clip"))
        rows.append(f"images/{name}.png,{patient},{split},{has},gray/{name}.png")
    (root / "frames.csv").write_text("\n".join(rows))
    return root


def square_rings(squares: list[list[int]], value: int) -> list[list[float]]:
    """A polygon for each square of a value."""
    return [
        [4 * c, 4 * r, 4 * c + 4, 4 * r, 4 * c + 4, 4 * r + 4, 4 * c, 4 * r + 4]
        for r, row in enumerate(squares)
        for c, v in enumerate(row)
        if v == value
    ]


def column_runs(mask: np.ndarray) -> list[int]:
    """Run lengths along columns by a plain loop, the first of zeros."""
    counts, current = [0], 0
    for value in mask.T.ravel().tolist():
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    return counts


def coco(root: Path, frames: Frames = FRAMES, categories: Sequence[str] = CATEGORIES) -> dict:
    """Liver by polygons, fat by run lengths (compressed for ada), all else by boxes: written, and what was written."""
    images, annotations = [], []
    for k, (name, (squares, tools)) in enumerate(frames.items()):
        images.append({"id": 10 + k, "file_name": f"images/{name}.png", "height": H, "width": W})

        def add(category, image=10 + k, **more):
            entry = {"id": len(annotations), "image_id": image, "category_id": 1 + categories.index(category)}
            annotations.append({**entry, "iscrowd": 0, **more})

        if rings := square_rings(squares, 1):
            add("liver", segmentation=rings, bbox=[0, 0, 1, 1])
        fat = (grow(squares) == 2).astype(np.uint8)
        if fat.any():
            counts = column_runs(fat)
            if name.startswith("ada"):
                counts = coco_mask.encode(np.asfortranarray(fat))["counts"].decode()
            add("fat", segmentation={"counts": counts, "size": [H, W]}, bbox=[0, 0, 1, 1])
        for tool in tools:
            add(tool, bbox=[BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]], segmentation=[])
    named = [{"id": 1 + k, "name": name} for k, name in enumerate(categories)]
    content = {"images": images, "annotations": annotations, "categories": named}
    (root / "coco.json").write_text(json.dumps(content))
    return content


def cvat(root: Path, frames: Frames = FRAMES, categories: Sequence[str] = CATEGORIES) -> str:
    """Liver by polygons, fat by a mask, clip by a box and all else by tags: written, and what was written."""
    labels = "".join(f"<label><name>{c}</name></label>" for c in categories)
    parts = [f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"]
    for k, (name, (squares, tools)) in enumerate(frames.items()):
        parts.append(f'<image id="{k}" name="images/{name}.png" width="{W}" height="{H}">')
        for ring in square_rings(squares, 1):
            points = ";".join(f"{x},{y}" for x, y in zip(ring[::2], ring[1::2], strict=True))
            parts.append(f'<polygon label="liver" points="{points}" z_order="0"/>')
        fat = grow(squares) == 2
        if fat.any():
            rows, columns = np.flatnonzero(fat.any(axis=1)), np.flatnonzero(fat.any(axis=0))
            window = fat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            rle = ", ".join(map(str, column_runs(window.T)))
            at = f'left="{columns[0]}" top="{rows[0]}" width="{window.shape[1]}" height="{window.shape[0]}"'
            parts.append(f'<mask label="fat" rle="{rle}" {at} z_order="0"/>')
        parts += [f'<tag label="{tool}"/>' for tool in tools if tool != "clip"]
        if "clip" in tools:
            parts.append('<box label="clip" xtl="1" ytl="2" xbr="5" ybr="7"/>')
        parts.append("</image>")
    text = "\n".join([*parts, "</annotations>"])
    (root / "annotations.xml").write_text(text)
    return text


def labelme(root: Path, frames: Frames = FRAMES) -> None:
    """A JSON beside each image: liver by polygons, fat by a mask, hook by a flag and clip by a rectangle."""
    for name, (squares, tools) in frames.items():
        shapes = [
            {"label": "liver", "shape_type": "polygon", "points": np.reshape(ring, (-1, 2)).tolist()}
            for ring in square_rings(squares, 1)
        ]
        fat = grow(squares) == 2
        if fat.any():
            buffer = io.BytesIO()
            Image.fromarray(fat.astype(np.uint8) * 255).save(buffer, "PNG")
            code = base64.b64encode(buffer.getvalue()).decode()
            shapes.append({"label": "fat", "shape_type": "mask", "points": [[0, 0], [W, H]], "mask": code})
        if "clip" in tools:
            shapes.append({"label": "clip", "shape_type": "rectangle", "points": [[1, 2], [5, 7]]})
        content = {
            "flags": {"hook": "hook" in tools},
            "shapes": shapes,
            "imagePath": f"{name.partition('/')[2]}.png",
            "imageHeight": H,
            "imageWidth": W,
        }
        (root / "images" / f"{name}.json").write_text(json.dumps(content))


def voc(root: Path, frames: Frames = FRAMES) -> None:
    """``Annotations`` with boxes of tools, ``SegmentationClass`` in colours, ``labelmap.txt``, ``ImageSets``."""
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nliver:128,0,0::\nfat:0,9,0::\n"
    )
    colors = np.array([[0, 0, 0], [128, 0, 0], [0, 9, 0]], dtype=np.uint8)
    for name, (squares, tools) in frames.items():
        save(root / "SegmentationClass" / f"{name}.png", colors[grow(squares)])
        document = ET.Element("annotation")
        ET.SubElement(document, "filename").text = "another.jpg"  # as where files were renamed
        size = ET.SubElement(document, "size")
        ET.SubElement(size, "width").text, ET.SubElement(size, "height").text = str(W), str(H)
        for tool in tools:
            thing = ET.SubElement(document, "object")
            ET.SubElement(thing, "name").text = tool
            ET.SubElement(thing, "bndbox")
        file = root / "Annotations" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(document).write(file)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("ada/0004\nada/0009\n")
    (lists / "test.txt").write_text("ben/0002\n")


def yolo(root: Path, frames: Frames = FRAMES) -> None:
    """``data.yaml``, and ``labels`` with outlines of squares and boxes of tools."""
    (root / "data.yaml").write_text(
        "train: images/ada\ntest: images/ben\nnames: {0: liver, 1: fat, 2: hook, 3: clip}\n"
    )
    for name, (squares, tools) in frames.items():
        lines = []
        for number in (0, 1):
            for ring in square_rings(squares, number + 1):
                shares = np.reshape(ring, (-1, 2)) / (W, H)
                lines.append(f"{number} {' '.join(f'{v:.9g}' for v in shares.ravel())}")
        lines += [f"{CATEGORIES.index(tool)} 0.2 0.4 0.25 0.4" for tool in tools]
        file = root / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))


def masks_of_classes(root: Path, frames: Frames = FRAMES) -> None:
    """``masks/<class>/<patient>/<number>_mask.png`` of 0 and 255."""
    for name, (squares, _) in frames.items():
        for value, category in enumerate(("liver", "fat"), 1):
            save(root / "masks" / category / f"{name}_mask.png", grow(np.equal(squares, value) * 255))
