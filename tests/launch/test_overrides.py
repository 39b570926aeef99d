from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from mtal.launch import UnknownOptionError, check_overrides, refuse_unknown, register

CONFIGS = Path(__file__).parents[2] / "configs"
register()


@pytest.mark.parametrize(
    "right",
    [
        "",
        "seed=3",
        "loop.rounds=2",
        "acquisition/fusion=max",
        "acquisition/fusion=mean,max,reciprocal_rank seed=0,1",
        "acquisition/fusion=choice(mean,max)",
        "acquisition/fusion=glob(*)",
        "acquisition/signals=[entropy,margin]",
        "data=vocalfolds data.root=anywhere",
        "data.root=anywhere data=vocalfolds",
        "data=vocalfolds data.root=anywhere data.split=sequence",
        "encoder=timm encoder.name=test_vit",
        "acquisition/selector=badge acquisition.selector.gamma=1",
        "acquisition/selector=random,badge",
        "experiment=tiny",
        "experiment=tiny logger=wandb logger.mode=disabled loop.batch=3",
        "experiment=vocalfolds data.root=anywhere data.split=patient",
        "~experiment",
        "~data",
        "+acquisition.head_weights.tools=2",
        "++trainer.steps=3",
        "hydra.run.dir=anywhere",
        "hydra/job_logging=none",
        "trainer.steps=range(1,4)",
        "frames.image_size=[64,96]",
        "tasks.heads.tools.weight=2",
        "loop={rounds:1}",
    ],
)
def test_right_options(right):
    refuse_unknown(CONFIGS, right.split())
    assert not GlobalHydra.instance().is_initialized()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sed=3", "unknown option 'sed', did you mean 'seed'?"),
        ("loop.round=3", "unknown option 'loop.round', did you mean 'loop.rounds'?"),
        ("lop.rounds=3", "unknown option 'lop.rounds', did you mean 'loop.rounds'?"),
        ("trainer.learningrate=1", "unknown option 'trainer.learningrate', did you mean 'trainer.learning_rate'?"),
        ("strategy=joint_badge acquisition.selector.gama=1", "did you mean 'acquisition.selector.gamma'?"),
        ("acquisition/selector=top_k acquisition.selector.gamma=1", "unknown option 'acquisition.selector.gamma'"),
        ("acquisition.fusion.k=1", "unknown option 'acquisition.fusion.k'"),
        ("tasks.heads.tool.weight=2", "did you mean 'tasks.heads.tools.weight'?"),
        ("seed.x=3", "unknown option 'seed.x'"),
        ("data.rot=x data=vocalfolds", "unknown option 'data.rot', did you mean 'data.root'?"),
        ("acquisitions/fusion=mean", "unknown option 'acquisitions/fusion', did you mean 'acquisition/fusion'?"),
        ("acquisition/fuson=mean", "unknown option 'acquisition/fuson', did you mean 'acquisition/fusion'?"),
        ("data=vocalfold", "no such choice, did you mean 'vocalfolds'? (choices: annotations, "),
        ("acquisition/fusion=mena", "acquisition/fusion=mena: no such choice, did you mean 'mean'?"),
        ("acquisition/fusion=mean,maxx", "acquisition/fusion=maxx: no such choice, did you mean 'max'?"),
        ("acquisition/signals=[entropy,margn]", "acquisition/signals=margn: no such choice, did you mean 'margin'?"),
        ("acquisition/signals=[entropy],[margn]", "acquisition/signals=margn: no such choice"),
        ("experiment=tyni", "experiment=tyni: no such choice, did you mean 'tiny'?"),
        ("experiment=null", "experiment=null: a group is left out by ~experiment"),
        ("experiment=vocalfolds data.splt=patient", "did you mean 'data.split'?"),
        ("acquisition.head_weights.tools=2", "is empty; to add to it write +acquisition.head_weights.tools=2"),
        # classes of masks are named by their numbers
        ("experiment=study_endoscapes loop.round=3", "unknown option 'loop.round', did you mean 'loop.rounds'?"),
        ("~loger", "unknown option 'loger', did you mean 'logger'?"),
    ],
)  # fmt: skip
def test_wrong_options(wrong, message):
    with pytest.raises(UnknownOptionError) as error:
        refuse_unknown(CONFIGS, wrong.split())
    assert message in str(error.value)


class TestSeveral:
    def told(self, wrong):
        with pytest.raises(UnknownOptionError) as error:
            refuse_unknown(CONFIGS, wrong.split())
        return str(error.value).splitlines()

    def test_at_once(self):
        first, second, third = self.told("sed=3 acquisition/fusion=mena loop.round=1")
        assert first.startswith("3 options are wrong: acquisition/fusion=mena: no such choice, did you mean 'mean'?")
        assert second == "unknown option 'sed', did you mean 'seed'?"
        assert third == "unknown option 'loop.round', did you mean 'loop.rounds'?"

    def test_the_first_ten(self):
        wrong = [f"sed{k}=3" for k in range(9)]
        told = self.told(" ".join([*wrong, "acquisition/fusion=mena,maxx", "loop.round=1"]))
        assert told[0].startswith("12 options are wrong: ")
        assert [line.split("'")[1] for line in told[2:10]] == [f"sed{k}" for k in range(8)]
        assert told[10:] == ["and 2 more"]

    def test_what_depends_on_a_wrong_choice_is_not_judged(self):
        """Whether there is such an option shows when it is known of what."""
        two = "data=vocalfold data.split=patient acquisition/selector=badg acquisition.selector.gamma=1"
        assert len(self.told(two)) == 2
        assert len(self.told("experiment=tyni data.split=patient")) == 1
        assert len(self.told("acquisition/selector@acquisition.cold_start=bad acquisition.cold_start.x=1")) == 1
        assert len(self.told("data=vocalfold acquisition.selector.q=1")) == 2


def test_what_cannot_be_parsed():
    with pytest.raises(HydraException, match=r"data\.root: .*\smissing EQUAL"):
        refuse_unknown(CONFIGS, ["data.root"])
    with pytest.raises(HydraException, match=r"data\.root=a=b: .*in two pairs of quotes"):
        refuse_unknown(CONFIGS, ["data.root=a=b"])
    refuse_unknown(CONFIGS, ["data=vocalfolds", "data.root='a=b'"])


class TestCheck:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["-m", "acquisition/fusion=mean,max", "seed=0,1"],
            ["--multirun", "seed=1"],
            ["--cfg", "job"],
            ["--help"],
            ["--info", "plugins", "seed=2"],
        ],
    )
    def test_flags_of_hydra_pass(self, arguments, capsys):
        assert sorted(check_overrides(CONFIGS, arguments)) == sorted(arguments)
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(
        ("given", "flags"),
        [
            ("seed=0,1 -m loop.rounds=1", "-m"),
            ("seed=0,1 --multirun loop.rounds=1", "--multirun"),
            ("seed=1 -c job loop.rounds=1", "-c job"),
            ("-m seed=0,1 --cfg=job loop.rounds=1", "-m --cfg=job"),
        ],
    )
    def test_flags_may_stand_anywhere(self, given, flags):
        """Hydra's own parser refuses what comes after one between two options."""
        taken = check_overrides(CONFIGS, given.split())
        assert taken == [o for o in given.split() if o not in flags.split()] + flags.split()
        read = get_args_parser().parse_args(taken)  # as hydra.main does
        assert [o.partition("=")[0] for o in read.overrides] == ["seed", "loop.rounds"]
        assert (read.multirun, read.cfg) == ("m" in flags.partition("c")[0], "job" if "job" in flags else None)

    @pytest.mark.parametrize("wrong", ["sed=3", "data.root", "experiment=tyni", "acquisition@foo=default"])
    def test_ends_with_code_2_and_one_line(self, wrong, capsys):
        with pytest.raises(SystemExit) as end:
            check_overrides(CONFIGS, ["-m", wrong])
        assert end.value.code == 2
        said = capsys.readouterr()
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1
        assert said.out == ""
