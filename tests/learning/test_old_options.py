from mtal.learning.old_options import old_options, with_values

TRAINER = "mtal.learning.trainer_settings.TrainerSettings"
NOW = {"loop": {"rounds": 3, "stop": {"val_flat_rounds": None}}, "encoder": {"name": "a"}}


class TestOldOptions:
    def test_arguments_that_nothing_takes(self):
        before = {"trainer": {"_target_": TRAINER, "_partial_": False, "steps": 3, "flip": True}}
        assert old_options(before, {}) == {"trainer.flip": True}

    def test_in_the_depth(self):
        entropy = {"_target_": "mtal.acquisition.Entropy", "base": 2}
        before = {"acquisition": {"signals": {"entropy": entropy}, "rules": [{"_target_": "mtal.gone.Rule"}]}}
        assert old_options(before, {}) == {
            "acquisition.signals.entropy.base": 2,
            "acquisition.rules[0]._target_": "mtal.gone.Rule",
        }

    def test_sections_that_are_always_whole(self):
        before = {"loop": {"rounds": 1, "pool": 9, "stop": {"flat": 2}}, "encoder": {"name": "b"}}
        assert old_options(before, NOW) == {"loop.pool": 9, "loop.stop.flat": 2}

    def test_what_takes_any(self):
        assert old_options({"x": {"_target_": "functools.partial", "a": 1}}, {}) == {}

    def test_other_choices_are_not_old(self):
        before = {"tasks": {"heads": {"cvs": {"weight": 1}}}, "acquisition": {"signals": {}}}
        assert old_options(before, NOW) == {}


def test_words():
    assert with_values({"a.b": 1, "c": None, "d": "x", "e": 2}) == "a.b=1, c=None, d=x, …"
