import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
from miniature import film
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import table
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

LIVER = [[1, 1, 2, 0], [1, 1, 2, 2], [1, 1, 255, 2]]
ROWS = """image,video,frame,time_s,patient,split,tool_hook,tool_clip applier,bleeding,mask,remark
a/0004.png,,,,ada,train,1,0,0,masks/a4.png,sharp
a/0009.png,,,,ada,train,0,,1,,
,b.mp4,7,,ben,test,1,1,,,
,b.mp4,,0.4,ben,test,no,yes,False,,blurred
"""
load = partial(table.load, mask_classes={1: "liver", 2: "fat"})


@pytest.fixture
def root(tmp_path):
    """Two images of one patient and a video of 15 frames at 10 per second of another."""
    for number in (4, 9, 11):
        save(tmp_path / "a" / f"{number:04d}.png", picture(number))
    film.write(tmp_path / "b.mp4", film.numbered(15, (H, W)), fps=10)
    save(tmp_path / "masks" / "a4.png", grow(LIVER))
    (tmp_path / "frames.csv").write_text(ROWS)
    return tmp_path


def parquet(root):
    """The same table with typed columns."""
    cells = pd.read_csv(root / "frames.csv")
    cells["bleeding"] = [False, True, None, False]
    cells.to_parquet(root / "frames.parquet")
    return root / "frames.parquet"


class TestLabels:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_by_hand(self, root, kind):
        dataset = load(root / "frames.csv" if kind == "csv" else parquet(root))
        ids = ["a/000004", "a/000009", "b/000004", "b/000007"]  # 0.4 s at 10 frames per second is frame 4
        rows = dataset.index.table
        assert rows["frame_id"].tolist() == ids
        assert rows["patient"].tolist() == ["ada", "ada", "ben", "ben"]
        assert rows["split"].tolist() == ["pool", "pool", "test", "test"]
        np.testing.assert_allclose(rows["time_s"], [4 / 25, 9 / 25, 0.4, 0.7])
        i = IGNORE
        assert dataset.label_map("tools").classes == ("hook", "clip applier")
        assert dataset.labels.targets("tools", ids).tolist() == [[1, 0], [0, i], [0, 1], [1, 1]]
        assert dataset.labels.targets("bleeding", ids)[:, 0].tolist() == [0, 1, 0, i]
        masks = dataset.labels.targets("anatomy", ids, (H, W))
        assert shrink(masks[0]) == [[0, 0, 1, i], [0, 0, 1, 1], [0, 0, i, 1]]
        assert (masks[1:] == IGNORE).all()

    def test_the_right_pictures(self, root, tmp_path):
        pictures = FrameCache(tmp_path / "cache").get(load(root / "frames.csv").index.table, (H, W))
        grays = pictures[np.arange(4)].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(grays, [10 + 48, 10 + 108, 20 + 37 * 4 % 200, 20 + 37 * 7 % 200], atol=2)

    def test_names_without_numbers(self, tmp_path):
        for name, gray in (("zoe", 3), ("before_1", 5), ("after_1", 7)):  # order: after_1, before_1, zoe
            save(tmp_path / f"{name}.png", picture(gray))
        (tmp_path / "t.csv").write_text("image,patient,bleeding\nzoe.png,p,1\nafter_1.png,q,0\n")
        with pytest.warns(UserWarning, match=r"after_1\.png and before_1\.png have the same number"):
            dataset = table.load(tmp_path / "t.csv", test_patients=["q"])
        rows = dataset.index.table.set_index("patient")
        assert rows["frame"].to_dict() == {"q": 0, "p": 2}
        assert dataset.labels.targets("bleeding", rows.loc[["q", "p"], "frame_id"].tolist())[:, 0].tolist() == [0, 1]
        pictures = FrameCache(tmp_path / "cache").get(dataset.index.table, (H, W))
        gray = dict(zip(rows.index, pictures[[0, 1]][:, 0, 0, 0].tolist(), strict=True))
        assert gray == {"q": 10 + 84, "p": 10 + 36}

    def test_patients_held_out_by_name(self, root):
        text = "\n".join(",".join(c for i, c in enumerate(line.split(",")) if i != 5) for line in ROWS.splitlines())
        (root / "frames.csv").write_text(text)
        assert (
            load(root / "frames.csv", test_patients=["ben"]).index.table["split"].tolist()
            == ["pool"] * 2 + ["test"] * 2
        )
        with pytest.raises(ValueError, match=r"nobody is held out.*data\.test_patients; patients are ada, ben"):
            load(root / "frames.csv")
        with pytest.raises(ValueError, match=r"data\.test_patients names 'benn', .* did you mean 'ben'"):
            load(root / "frames.csv", test_patients=["benn"])

    def test_patients_held_out_go_before_a_column(self, root):
        rows = load(root / "frames.csv", test_patients=["ada"]).index.table
        assert rows["split"].tolist() == ["test", "test", "pool", "pool"]
        rows = load(root / "frames.csv", val_patients=["ada"]).index.table
        assert rows["split"].tolist() == ["val", "val", "test", "test"]
        with pytest.raises(ValueError, match=r"column 'split' has ben of data\.val_patients in the test"):
            load(root / "frames.csv", val_patients=["ben"])
        with pytest.raises(ValueError, match=r"data\.val_patients names 'nobody', which is not there"):
            load(root / "frames.csv", test_patients=["ada"], val_patients=["nobody"])

    def test_patients_that_share_a_folder_are_recordings_of_their_own(self, tmp_path):
        rows = ["image,patient,split,bleeding"]
        for patient, split in (("ada", "train"), ("ben", "test")):
            for k in range(3):
                save(tmp_path / "all" / f"{patient}_{k}.png", picture(k))
                rows.append(f"all/{patient}_{k}.png,{patient},{split},0")
        (tmp_path / "frames.csv").write_text("\n".join(rows))
        with pytest.warns(UserWarning, match=r"all: ada_0\.png and ben_0\.png have the same number"):
            index = load(tmp_path / "frames.csv").index.table
        assert index.groupby("patient")["video"].unique().map(list).to_dict() == {
            "ada": ["all_ada"],
            "ben": ["all_ben"],
        }
        frames = FrameCache(tmp_path / "cache").get(index, (H, W))
        np.testing.assert_array_equal(frames[np.arange(6)], [picture(k) for k in (0, 1, 2, 0, 1, 2)])

    def test_paths_from_another_folder(self, root, tmp_path_factory):
        other = tmp_path_factory.mktemp("tables") / "t.csv"
        other.write_text(ROWS)
        assert load(other, root=root).index.frame_ids == load(root / "frames.csv").index.frame_ids

    def test_tools_by_name(self, root):
        dataset = load(root / "frames.csv", tools=["tool_clip applier"])
        assert dataset.label_map("tools").classes == ("clip applier",)

    def test_masks_in_colours(self, root):
        save(root / "masks/a4.png", grow([[[255, 0, 0]] * 4, [[0, 9, 0]] * 4, [[0, 0, 0]] * 4]))
        dataset = table.load(
            root / "frames.csv", mask_classes={"255/0/0": "liver", "0/9/0": "fat"}, mask_ignore=[0, 255]
        )
        mask = dataset.labels.targets("anatomy", ["a/000004"], (H, W))[0]
        assert shrink(mask) == [[0] * 4, [1] * 4, [IGNORE] * 4]

    def test_only_tasks_with_columns(self, root):
        (root / "t.csv").write_text("image,patient,split,bleeding\na/0004.png,ada,pool,1\na/0009.png,ada,pool,\n")
        assert [m.task for m in table.load(root / "t.csv").label_maps] == ["bleeding"]


def edit(old, new):
    def change(root):
        assert old in ROWS
        (root / "frames.csv").write_text(ROWS.replace(old, new, 1))

    return change


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: (r / "masks/a4.png").unlink(),
                FileNotFoundError,
                r"frames\.csv, line 2, column 'mask': .*a4\.png is not there; paths start from .*data\.root=DIR",
            ),
            (edit("a/0009", "a/0010"), FileNotFoundError, r"frames\.csv, line 3, column 'image': .*0010\.png is not"),
            (edit("a/0009", "a/0004"), ValueError, r"line 3, column 'image': the same frame as in .*line 2, column"),
            (edit("a/0009.png,,,,ada,train", "a/0004.png,,,,eve,test"), ValueError, r"line 3, .*the same frame as in"),
            (edit("b.mp4,,0.4", "b.mp4,7,"), ValueError, r"line 5, column 'video': the same frame as in .*line 4"),
            (
                edit("train,1,0,0", "train,2,0,0"),
                ValueError,
                r"line 2, column 'tool_hook': '2' is no label; write 0, 1",
            ),
            (edit("b.mp4,7", "b.mp4,15"), ValueError, r"line 4, column 'frame': .*b\.mp4 has no frame 15; .* 0 to 14"),
            (edit("b.mp4,7", "b.mp4,7.5"), ValueError, r"line 4, column 'frame': .*no frame 7\.5"),
            (edit("b.mp4,7", "b.mp4,x"), ValueError, r"line 4, column 'frame': 'x' is no number from 0 on"),
            (edit("b.mp4,,0.4", "b.mp4,,9"), ValueError, r"line 5, column 'time_s': .* no frame near 9 s"),
            (edit("b.mp4,,0.4", "b.mp4,,9"), ValueError, r"no frame near 9 s, it ends at 1\.4 s"),
            (
                lambda r: film.write(r / "b.mp4", film.numbered(15, (H, W)), fps=10, pause=(2, 20)),
                ValueError,
                r"line 5, column 'time_s': .* no frame near 0\.4 s: after that at 0\.1 s the next is at 2\.2 s",
            ),
            (edit("b.mp4,,0.4", "b.mp4,,"), ValueError, r"line 5, column 'time_s': it is empty; a frame of a video"),
            (edit("b.mp4,7", ",7"), ValueError, r"line 4, column 'image' and 'video': both are empty"),
            (edit("ben,test", ",test"), ValueError, r"line 4, column 'patient': it is empty"),
            (edit("ada,train", "ada,tset"), ValueError, r"line 2, column 'split': 'tset' is none of pool, train, val"),
            (edit("ada,train", "ada,test"), ValueError, r"patient 'ada' is in the splits pool and test"),
            (edit("patient", "pateint"), ValueError, r"or 'video'; did you mean 'patient' for 'pateint'\?"),
            (
                edit("patient", "person"),
                ValueError,
                r"the columns are .*person.*; there must be 'patient', and 'image'",
            ),
            (
                lambda r: (r / "frames.csv").write_text("image,patient,split\na/0004.png,p,pool\n"),
                ValueError,
                r"nothing to learn here; add columns tool_",
            ),
            (lambda r: (r / "frames.csv").write_text("image,patient\n"), ValueError, "the table has no rows"),
            (lambda r: (r / "frames.csv").unlink(), FileNotFoundError, "there is no such table"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root / "frames.csv")

    def test_wrong_gray(self, root):
        save(root / "masks/a4.png", grow([[7] * 4] * 3))
        with pytest.raises(ValueError, match=r"a4\.png: gray value 7 stands for no class"):
            load(root / "frames.csv").labels.targets("anatomy", ["a/000004"], (H, W))

    def test_masks_without_a_meaning(self, root):
        with pytest.raises(ValueError, match=r"a4\.png holds 0, 1, 2, 255\) mean, as in 'data\.mask_classes="):
            table.load(root / "frames.csv")

    def test_coloured_masks_without_a_meaning(self, root):
        save(root / "masks/a4.png", grow([[[255, 0, 0]] * 4, [[0, 9, 0]] * 4, [[0, 0, 0]] * 4]))
        with pytest.raises(ValueError, match=r"a4\.png holds 0/0/0, 0/9/0, 255/0/0\) mean"):
            table.load(root / "frames.csv")

    @pytest.mark.parametrize("value", ["red", "1/2", 256])
    def test_values_that_are_none(self, root, value):
        with pytest.raises(ValueError, match=r"data\.mask_classes, data\.mask_ignore: .* is no gray value"):
            table.load(root / "frames.csv", mask_classes={value: "liver"})

    def test_misspelt_column(self, root):
        edit("bleeding", "bleding")(root)
        with pytest.warns(UserWarning, match="column 'bleding' is not used, did you mean 'bleeding'"):
            load(root / "frames.csv")

    def test_a_column_that_is_there_is_not_suggested(self, root, recwarn):
        """``time`` is like ``time_s``, which the table has."""
        (root / "frames.csv").write_text(ROWS.replace("remark", "time"))
        load(root / "frames.csv")
        assert not recwarn

    def test_misspelt_beginning_of_a_tool(self, root):
        (root / "frames.csv").write_text(ROWS.replace("tool_hook", "tools_hook"))
        with pytest.warns(UserWarning, match="column 'tools_hook' is not used; if it is a tool, .*begin with 'tool_'"):
            load(root / "frames.csv")

    def test_masks_among_the_images(self, root):
        (root / "masks" / "a4.png").rename(root / "a" / "mask5.png")
        (root / "frames.csv").write_text(ROWS.replace("masks/a4.png", "a/mask5.png"))
        with pytest.warns(UserWarning, match=r"a: masks lie among the images.*times are wrong unless.*'time_s'"):
            load(root / "frames.csv")

    def test_misspelt_tool(self, root):
        with pytest.raises(ValueError, match="there is no column 'tool_hok', did you mean 'tool_hook'"):
            load(root / "frames.csv", tools=["tool_hok"])


class TestRecordings:
    def write(self, root, *images):
        for k, (image, _, _) in enumerate(images):
            save(root / image, picture(k))
        rows = ["image,patient,split,bleeding", *(f"{i},{p},{s},0" for i, p, s in images)]
        (root / "t.csv").write_text("\n".join(rows))
        return table.load(root / "t.csv").index.table

    def test_folders_with_names_alike(self, tmp_path):
        index = self.write(tmp_path, ("liver/01/1.png", "a", "pool"), ("liver_01/1.png", "b", "test"))
        assert index.set_index("patient")["frame_id"].to_dict() == {"a": "liver/01/000001", "b": "liver_01/000001"}

    def test_videos_with_names_alike(self, tmp_path):
        for name in ("op.mp4", "op.mkv"):
            film.write(tmp_path / name, film.numbered(3, (H, W)), fps=10)
        (tmp_path / "t.csv").write_text("video,frame,patient,split,bleeding\nop.mp4,1,a,pool,0\nop.mkv,1,b,test,1\n")
        index = table.load(tmp_path / "t.csv").index.table
        assert index.set_index("patient")["video"].to_dict() == {"a": "op.mp4", "b": "op.mkv"}

    def test_a_video_beside_an_image_names_its_recording(self, tmp_path):
        rows = ["image,video,time_s,patient,split,bleeding"]
        for k, (video, patient) in enumerate((("op1", "a"), ("op2", "a"), ("op1", "a"), ("op3", "b"))):
            save(tmp_path / f"images/{k}.png", picture(k))
            rows.append(f"images/{k}.png,{video},{9 - k},{patient},{'test' if patient == 'b' else 'pool'},{k % 2}")
        (tmp_path / "t.csv").write_text("\n".join(rows))
        dataset = table.load(tmp_path / "t.csv")
        ids = [f"images_{f}" for f in ("op1/000000", "op1/000002", "op2/000001", "op3/000003")]
        assert dataset.index.frame_ids == ids
        assert dataset.index.table["time_s"].tolist() == [9, 7, 8, 6]
        assert dataset.labels.targets("bleeding", ids)[:, 0].tolist() == [0, 0, 1, 1]
        grays = FrameCache(tmp_path / "cache").get(dataset.index.table, (H, W))[np.arange(4)][:, 0, 0, 0]
        assert grays.tolist() == [10 + 12 * k for k in (0, 2, 1, 3)]

    def test_a_linked_folder_is_the_same_one(self, tmp_path):
        save(tmp_path / "a/1.png", picture(1))
        (tmp_path / "b").symlink_to(tmp_path / "a")
        (tmp_path / "t.csv").write_text("image,patient,split,bleeding\na/1.png,p,pool,0\nb/1.png,q,test,0\n")
        with pytest.raises(ValueError, match=r"line 3, column 'image': the same frame as in .*line 2"):
            table.load(tmp_path / "t.csv")

    def test_numbers_that_patients_of_one_folder_share(self, tmp_path):
        """They count for nothing, so picks that should be 2 s apart are 50 images apart, whenever these were taken."""
        images = [(f"images/{p}_{k}.png", p, "test" if p == "b" else "pool") for p in "ab" for k in (0, 50, 100)]
        told = r"images: a_0\.png and b_0\.png have the same number, .* order of names, 25 images a second; give each"
        with pytest.warns(UserWarning, match=told) as found:
            index = self.write(tmp_path, *images)
        assert len(found) == 1
        assert index.sort_values(["patient", "frame"])["time_s"].tolist() == [k / 25 for k in range(6)]
        rows = (tmp_path / "t.csv").read_text().splitlines()
        timed = [f"{rows[0]},time_s", *(f"{row},{2 * k}" for k, row in enumerate(rows[1:]))]
        (tmp_path / "t.csv").write_text("\n".join(timed))
        assert sorted(table.load(tmp_path / "t.csv").index.table["time_s"]) == [0, 2, 4, 6, 8, 10]
        apart = [(f"{p}/{k}.png", p, split) for _, p, split in images[::3] for k in (0, 50, 100)]
        assert sorted(set(self.write(tmp_path, *apart)["time_s"])) == [0, 2, 4]

    def test_images_of_several_sizes_with_masks(self, tmp_path):
        rows = ["image,patient,split,mask"]
        for k, (height, width) in enumerate(((8, 10), (6, 20))):
            save(tmp_path / f"images/p{k}.png", np.full((height, width, 3), 9, np.uint8))
            save(tmp_path / f"masks/p{k}.png", np.full((height, width), k, np.uint8))
            rows.append(f"images/p{k}.png,p{k},{('pool', 'test')[k]},masks/p{k}.png")
        (tmp_path / "t.csv").write_text("\n".join(rows))
        dataset = table.load(tmp_path / "t.csv", mask_classes={0: "other", 1: "polyp"})
        masks = dataset.labels.targets("anatomy", dataset.index.frame_ids, (4, 4))
        assert (masks == np.array([0, 1])[:, None, None]).all()
        assert (
            FrameCache(tmp_path / "cache").get(dataset.index.table, (4, 4))[[0, 1]].tolist()
            == [[[[9] * 3] * 4] * 4] * 2
        )

    def test_in_a_folder_that_moved(self, root, tmp_path_factory):
        moved = shutil.copytree(root, tmp_path_factory.mktemp("moved") / "elsewhere")
        here, there = (load(place / "frames.csv") for place in (root, moved))
        same = here.index.table.columns.drop("source")
        assert there.index.table[same].equals(here.index.table[same])
        ids = here.index.frame_ids
        assert (there.labels.targets("anatomy", ids, (H, W)) == here.labels.targets("anatomy", ids, (H, W))).all()

    def test_all_missing_files_at_once(self, root):
        (root / "frames.csv").write_text(ROWS.replace("a/0", "c/0").replace("b.mp4,7", "c.mp4,7"))
        with pytest.raises(
            FileNotFoundError, match=r"^3 faults:\n.*line 2.*\n.*line 3.*\n.*line 4.*c\.mp4 is not there"
        ):
            load(root / "frames.csv")
