from __future__ import annotations

import base64
import io
import json
import re
import runpy
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtal.reporting import colorize, write_report
from mtal.reporting.page import environment
from mtal.reporting.run_reader import read_run

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, texts by class, and whether every element was closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.open: list[tuple[str, str]] = []
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = {key: value or "" for key, value in attrs}
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes.get("class", "")))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag):
        opened, _ = self.open.pop()
        assert opened == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((tuple(c for _, c in self.open), " ".join(data.split())))

    def all(self, tag, **attributes):
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]

    def text_of(self, css_class):
        return [text for classes, text in self.texts if classes and classes[-1] == css_class]

    @property
    def words(self):
        return " ".join(text for _, text in self.texts)


@pytest.fixture(scope="module")
def page(drawn_run):
    return Page(drawn_run / "report.html")


def test_one_picture_per_pick_with_a_text_for_those_who_cannot_see_it(page):
    images = page.all("img")
    assert len(images) == 12
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    assert images[0]["alt"] == (
        "Frame 200 of video01, 0:08. anatomy: liver, gallbladder; tools: grasper; bleeding: not annotated."
    )


def test_newest_round_first_with_the_reason_of_each_pick(page):
    anatomy, tools = "anatomy · entropy · 98th percentile", "tools · entropy · 91st percentile"
    assert page.text_of("why") == [anatomy, tools, anatomy, tools] * 2 + ["initial set"] * 4


def test_nothing_is_fetched(page):
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
        assert all(url.startswith(("data:", "#")) for url in re.findall(r"url\(([^)]*)", attributes.get("style", "")))
    assert "@import" not in page.html
    assert not page.all("link")
    assert not page.all("script")
    (policy,) = (a for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_overlays_are_the_masks_in_the_colours_of_the_tasks(drawn_run, page, tasks):
    labels = page.all("span", class_="layer label head-0")
    predictions = page.all("span", class_="layer prediction head-0")
    assert len(labels) == 12
    assert len(predictions) == 8  # none in the initial set
    data = re.search(r"base64,([^)]*)\)", labels[0]["style"]).group(1)
    layer = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    mask = np.asarray(Image.open(drawn_run / "rounds" / "02" / "images" / "0000.anatomy.png"))
    assert np.array_equal(layer, colorize(mask, [tuple(c) for c in tasks["anatomy"]["colors"]]))
    assert layer[5, 5].tolist() == [255, 114, 114, 102]  # liver on the left
    assert layer[0, 5, 3] == 0  # the top row is not annotated


def test_labels_say_what_is_not_annotated(page):
    assert page.text_of("chip") == ["grasper"] * 12
    assert page.text_of("chip off") == ["bleeding not annotated"] * 12


def test_figures_of_the_last_round(page):
    assert "tools · mAP 0.700 +0.200 since round 0" in page.words
    assert "bleeding · AP – not measured" in page.words
    assert "joint 0.600 +0.200 since round 0" in page.words
    assert "liver 0.700 12 gallbladder 0.300 2 fat – 0" in page.words
    assert "1 min 15 s" in page.words  # training


@pytest.mark.parametrize(
    ("lacking", "told"),
    [(0, "tools · mAP 0.700 +0.100 since round 1"), (2, "tools · mAP – not measured")],
)
def test_a_change_is_told_since_the_first_value_and_of_the_last_round_alone(make_run, lacking, told):
    run = make_run(f"lacking {lacking}")
    file = run / "rounds" / f"{lacking:02d}" / "metrics.json"
    record = json.loads(file.read_text())
    record["metrics"]["tools/mAP"] = None
    file.write_text(json.dumps(record))
    write_report(run)
    assert told in Page(run / "report.html").words


def test_figures_by_patient_and_event(page):
    assert "tools · mAP: mean 0.650, worst 0.500 test patient mAP p8 0.800 p9 0.500 p10 –" in page.words
    assert "bleeding · AP: mean –, worst – test patient AP p8 –" in page.words
    assert "3 of 4 found, half of them within 1.5 s; 1 false alarm in 1.5 minutes of video" in page.words


def test_config_and_scores_are_there(page):
    assert "Encoder resnet18 (not pretrained, frozen)" in page.words
    assert "anatomy · entropy 0.25 98.7" in page.words
    assert "utility 0.9" in page.words


def test_one_curve_per_head_and_one_for_all(page):
    labels = [svg["aria-label"] for svg in page.all("svg")]
    assert labels == [
        "tools: mAP 0.50 with 4 labelled frames, 0.70 with 12",
        "bleeding: no value yet",
        "anatomy: mIoU 0.30 with 4 labelled frames, 0.50 with 12",
        "joint: joint 0.40 with 4 labelled frames, 0.60 with 12",
    ]


def test_odd_class_names_are_escaped(make_run, tasks):
    odd = '<script>alert("1")</script> & $x$'
    tasks["tools"]["classes"][0] = odd
    page = Page(write_report(make_run("odd", tasks=tasks)))
    assert not page.all("script")
    assert page.text_of("chip") == [odd] * 12


def test_options_that_are_none_any_more_are_no_fault(run_dir):
    """A report tells what was; nothing is made by the options that it reads."""
    config = run_dir / "config.yaml"
    config.write_text(config.read_text() + "\nonce: {_target_: mtal.gone.Option, flip: true}\n")
    assert write_report(run_dir).is_file()


def test_a_run_with_one_round(make_run):
    page = Page(write_report(make_run("young", rounds=1)))
    assert len(page.all("img")) == 4
    assert "in 1 round." in page.words
    assert "tools · mAP 0.500 first value" in page.words
    assert not page.all("input", id="show-prediction")


def test_missing_pictures_leave_a_gap_and_no_error(run_dir):
    (run_dir / "rounds" / "01" / "images" / "0002.jpg").unlink()
    (run_dir / "rounds" / "01" / "images" / "0001.anatomy.png").unlink()
    page = Page(write_report(run_dir))
    assert len(page.all("img")) == 11
    assert page.text_of("nothing") == ["no image kept"]


def test_a_mask_with_an_unknown_class_is_named(run_dir):
    path = run_dir / "rounds" / "01" / "images" / "0002.anatomy.png"
    Image.fromarray(np.full((24, 40), 9, dtype=np.uint8)).save(path)
    with pytest.raises(ValueError, match=r"01/images/0002\.anatomy\.png: the mask holds the value 9"):
        write_report(run_dir)


def test_large_pictures_become_thumbnails_and_masks_follow(run_dir):
    images = run_dir / "rounds" / "02" / "images"
    Image.new("RGB", (854, 480)).save(images / "0000.jpg")
    Image.fromarray(np.ones((480, 854), dtype=np.uint8)).save(images / "0000.anatomy.png")
    page = Page(write_report(run_dir))
    first = page.all("img")[0]
    assert (first["width"], first["height"]) == ("160", "90")
    data = re.search(r"base64,([^)]*)\)", page.all("span", class_="layer label head-0")[0]["style"]).group(1)
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (160, 90)


def test_a_round_that_is_a_whole_pool_is_cut_short(make_run):
    page = Page(write_report(make_run("pool", rounds=1, per_round=123)))
    assert len(page.all("img")) == 120
    assert "The first 120 of 123 are shown." in page.words


def test_redrawing_leaves_one_whole_page_and_no_temporary_file(run_dir):
    first = write_report(run_dir).read_bytes()
    assert write_report(run_dir).read_bytes() == first
    assert sorted(p.name for p in run_dir.iterdir() if "report" in p.name) == ["report.html"]


def test_no_complete_round(make_run):
    with pytest.raises(ValueError, match="no round is complete yet"):
        write_report(make_run("empty", rounds=0))


@pytest.fixture
def script(monkeypatch, capsys):
    path = Path(__file__).parents[2] / "scripts" / "report.py"

    def run(folder):
        monkeypatch.setattr(sys, "argv", ["report.py", str(folder)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out.strip()

    return run


def test_script_redraws_and_says_where(run_dir, script):
    assert script(run_dir) == str(run_dir.resolve() / "report.html")
    assert Page(run_dir / "report.html").all("img")


def test_script_refuses_what_is_no_run_in_one_line(run_dir, script):
    with pytest.raises(SystemExit, match=r"rounds is not a run folder: it has no config\.yaml"):
        script(run_dir / "rounds")


def test_script_says_in_one_line_that_the_page_cannot_be_written(run_dir, script):
    (run_dir / "report.html").mkdir()
    with pytest.raises(SystemExit, match=r"report\.html: it cannot be written \(Is a directory\)"):
        script(run_dir)


def test_two_heads_over_the_same_picture(make_run, tasks):
    tasks["vessels"] = {
        "family": "categorical",
        "support": "pixel",
        "classes": ["none", "artery"],
        "colors": [[1, 2, 3], [4, 5, 6]],
    }
    folder = make_run("two", tasks=tasks, rounds=1)
    for order in range(4):
        mask = Image.fromarray(np.ones((24, 40), dtype=np.uint8))
        mask.save(folder / "rounds" / "00" / "images" / f"{order:04d}.vessels.png")
    page = Page(write_report(folder))
    for head in (0, 1):  # one is shown at a time, for their colours may be the same
        assert len(page.all("span", class_=f"layer label head-{head}")) == 4
        assert f"body:not(:has(#head-{head}:checked))" in page.html
    assert [a["id"] for a in page.all("input", name="head")] == ["head-0", "head-1"]
    assert "vessels: artery" in page.all("img")[0]["alt"]
    assert json.loads((folder / "tasks.json").read_text())["vessels"]["classes"][1] in page.words


def test_heads_that_got_fewer_labels_than_frames_say_so(run_dir):
    whole = Page(write_report(run_dir)).words
    assert "with a label of" not in whole
    for number in range(3):
        file = run_dir / f"rounds/{number:02d}/metrics.json"
        content = json.loads(file.read_text())
        counted = {"tools": content["labelled"], "bleeding": 0, "anatomy": content["labelled"] // 2}
        file.write_text(json.dumps(content | {"answers": counted}))
    page = Page(write_report(run_dir))
    assert "+4 in the last round; with a label of tools 12, bleeding 0, anatomy 6" in page.words
    assert "4 (tools 4, bleeding 0, anatomy 2)" in page.words


def test_says_what_val_decided_and_cost(run_dir):
    for number in range(3):
        file = run_dir / f"rounds/{number:02d}/metrics.json"
        told = {"val_labelled": 30, "training": {"steps": 100 * number, "converged": number > 0}}
        file.write_text(json.dumps(json.loads(file.read_text()) | told))
    page = Page(write_report(run_dir))
    assert "30 labelled frames of val, which the run read, count beside them." in page.words
    assert "0 steps, not converged" in page.words
    assert "200 steps, converged" in page.words
    assert [this.spent for this in read_run(run_dir).rounds] == [34, 38, 42]


def test_distances_are_told_with_their_unit(run_dir):
    file = run_dir / "rounds" / "02" / "metrics.json"
    record = json.loads(file.read_text())
    record["metrics"] |= {"anatomy/HD95": 4.25, "anatomy/HD95/liver": 4.25}
    file.write_text(json.dumps(record))
    html = write_report(run_dir).read_text()
    assert '<th scope="col">IoU</th><th scope="col">HD95, pixels</th>' in html


def test_a_minute_has_sixty_seconds():
    seconds = environment().filters["seconds"]
    assert [seconds(s) for s in (59.9, 59.97, 3599.7)] == ["59.9 s", "1 min 00 s", "1 h 00 min"]
