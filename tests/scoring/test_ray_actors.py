"""Actors and the loop that keeps them busy, on a Ray that is made up."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mtal.launch.interruption import Stopped
from mtal.scoring.ray_actors import RayActors
from mtal.scoring.segments import Segment
from mtal.scoring.shards import Shards
from mtal.scoring.tries import _Tries

CPU = torch.device("cpu")


class TestOptions:
    @pytest.mark.parametrize("name", ["actors", "cpus"])
    @pytest.mark.parametrize("value", [0, 1.5, True])
    def test_counts(self, name, value):
        with pytest.raises(ValueError, match=f"scoring.{name} must be a whole number of at least 1, or null, not"):
            RayActors(**{name: value})

    def test_gpus(self):
        with pytest.raises(ValueError, match=r"scoring\.gpus must be a number of at least 0, or null, not -1"):
            RayActors(gpus=-1)
        with pytest.raises(
            ValueError, match=r"scoring\.gpus must be a part of one GPU or a whole number of them, not 1\.5$"
        ):
            RayActors(gpus=1.5)
        assert [RayActors(gpus=gpus).gpus for gpus in (0.1, 2, 2.0)] == [0.1, 2, 2.0]

    def test_all_that_is_wrong_at_once(self):
        with pytest.raises(ValueError, match=r"^3 wrong options:\n.*actors must.*\n.*cpus must.*\n.*gpus must.*$"):
            RayActors(actors=0, cpus=0, gpus=-1)

    def test_what_the_model_runs_on(self):
        cpu, gpu = torch.device("cpu"), torch.device("cuda")
        assert [RayActors().runs_on(device, 3) for device in (cpu, gpu)] == [("cpu", 3), ("cuda", 3)]
        assert RayActors(cpus=2, gpus=0).runs_on(gpu, 3) == ("cpu", 2)
        assert RayActors(gpus=0.5).runs_on(cpu, 3) == ("cuda", 3)

    def test_without_ray(self, monkeypatch):
        monkeypatch.setattr("mtal.scoring.ray_actors.find_spec", lambda _: None)
        with pytest.raises(RuntimeError, match=r"^scoring=ray needs Ray, which is not installed: pip install -e "):
            RayActors()


class Hired(SimpleNamespace):
    __hash__ = object.__hash__


class Clerk:
    """In place of Ray: whoever is asked first is done first, and dies where it is told to."""

    def __init__(self, dies=lambda actor, segment: None):
        self.dies, self.hired, self.killed = dies, 0, []

    def put(self, packed):
        return packed

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}, {"Alive": False, "Resources": {}}]

    def cluster_resources(self):
        return {"CPU": 2.0}

    def available_resources(self):
        return {"CPU": 2.0 - self.hired + len(self.killed)}

    def kill(self, actor):
        self.killed.append(actor.number)

    def remote(self, _):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self.hire))

    def hire(self, threads, on_gpu):
        number, self.hired = self.hired, self.hired + 1
        return Hired(
            number=number,
            ready=SimpleNamespace(remote=lambda: Asked(number, None)),
            score=SimpleNamespace(remote=lambda parcel, segment: Asked(number, segment)),
            rest=SimpleNamespace(remote=lambda: None),
        )

    def wait(self, asked, timeout):
        return asked[:1], asked[1:]

    def get(self, asked):
        error = self.dies(asked.actor, asked.segment)
        if error is not None:
            raise error


class Asked:
    def __init__(self, actor, segment):
        self.actor, self.segment = actor, segment


def twice(cause):
    error = SystemError("get_objects returned a result with an exception set")
    error.__cause__ = cause
    return error


def as_ray(error):
    from ray.exceptions import RayTaskError

    return RayTaskError("score", "traceback", error)


def ray_crew():
    from mtal.scoring import ray_crew

    return ray_crew


def asked_of_the_first(asked):
    first = min(asked, key=lambda one: one.actor)
    return [first], [one for one in asked if one is not first]


def tried(crew, segments):
    """What failed for good, as a pass tries it."""
    engine = SimpleNamespace(score=lambda these, *_: crew.score(these, b"", 2, "k"))
    work = SimpleNamespace(shards=SimpleNamespace(take_in=lambda segment: None))
    return _Tries(engine, work, None, None, any_done=False).score(segments)


class TestCrew:
    SEGMENTS = tuple(Segment(i, i + 1, ("a",)) for i in range(6))

    @pytest.fixture
    def hire(self, monkeypatch):
        pytest.importorskip("ray")
        from mtal.scoring import ray_crew

        def crew(dies, **options):
            monkeypatch.setattr(ray_crew, "ray", Clerk(dies))
            return ray_crew.Crew("job", 1, 0.0, **options)

        return crew

    @pytest.mark.parametrize(
        "lost",
        ["OutOfMemoryError", "ActorUnschedulableError", "RuntimeEnvSetupError", "NodeDiedError", "ActorDiedError"],
    )
    def test_whatever_ray_loses_costs_one_segment(self, hire, lost):
        from ray import exceptions

        error = getattr(exceptions, lost)("of memory") if lost != "ActorDiedError" else exceptions.ActorDiedError()
        crew = hire(lambda actor, segment: error if actor == 0 and segment else None)
        outcomes = list(crew.score(self.SEGMENTS, b"", None, "k"))
        assert sorted(segment.start for segment, _ in outcomes) == list(range(6))
        (told,) = [str(error) for _, error in outcomes if error]
        assert told.startswith("Ray has lost the process that scored it (")

    def test_no_actor_waits_while_a_shard_is_taken_in(self, hire):
        crew = hire(lambda actor, segment: None)
        at_work = [
            sum(segment is not None for _, segment in crew._doing.values())
            for _ in crew.score(self.SEGMENTS, b"", 2, "k")
        ]
        assert at_work == [2, 2, 2, 2, 1, 0]

    def test_actors_lost_between_two_rounds_are_no_failed_starts(self, hire):
        from ray.exceptions import ActorDiedError

        gone = set()
        crew = hire(lambda actor, segment: ActorDiedError() if actor in gone else None)
        for _ in range(2):
            assert [error for _, error in crew.score(self.SEGMENTS, b"", 4, "k")] == [None] * 6
            gone = {0, 1, 2, 3}

    def test_actors_that_never_start_are_told(self, hire):
        from ray.exceptions import RuntimeEnvSetupError

        crew = hire(lambda actor, segment: RuntimeEnvSetupError("no such package"))
        with pytest.raises(RuntimeError, match=r"^Ray cannot start actors that score: (.|\n)*no such package"):
            list(crew.score(self.SEGMENTS, b"", None, "k"))

    def test_one_that_fails_at_once_does_not_end_the_pass(self, hire, monkeypatch):
        """The disk is not mounted where actor 0 is, which is done before any other."""
        crew = hire(lambda actor, segment: as_ray(OSError("no disk")) if actor == 0 and segment else None)
        monkeypatch.setattr(ray_crew().ray, "wait", lambda asked, timeout: asked_of_the_first(asked))
        assert tried(crew, self.SEGMENTS) == {}
        assert len(crew._actors) == 2

    def test_a_pass_whose_fault_is_everywhere_ends(self, hire):
        crew = hire(lambda actor, segment: as_ray(OSError("no disk")) if segment else None)
        with pytest.raises(OSError, match="no disk"):
            tried(crew, self.SEGMENTS)

    def test_who_failed_scores_where_nobody_else_comes(self, hire, monkeypatch):
        """Actor 0 fails its first two segments, and actor 1 waits for room for ever."""
        left = [OSError("once"), OSError("twice")]
        crew = hire(lambda actor, segment: as_ray(left.pop()) if segment and left else None)
        monkeypatch.setattr(ray_crew().ray, "wait", lambda asked, timeout: ([a for a in asked if a.actor == 0][:1], []))
        assert tried(crew, self.SEGMENTS) == {}

    def test_a_good_actor_goes_on_where_others_cannot_start(self, hire, monkeypatch):
        from ray.exceptions import RuntimeEnvSetupError

        crew = hire(lambda actor, segment: RuntimeEnvSetupError("no such package") if actor else None)
        monkeypatch.setattr(ray_crew().ray, "wait", lambda asked, timeout: (asked[-1:], []))
        assert tried(crew, self.SEGMENTS) == {}
        assert ray_crew().ray.hired == 1 + 3

    @pytest.mark.parametrize(("actors", "shared", "killed"), [(2, True, [0, 1]), (2, False, []), (1, True, [])])
    def test_a_cluster_that_is_full_is_let_go_of_between_passes(self, hire, actors, shared, killed):
        crew = hire(lambda actor, segment: None, shared=shared)
        for name in "kl":
            assert [error for _, error in crew.score(self.SEGMENTS, b"", actors, name)] == [None] * 6
            assert ray_crew().ray.killed[:2] == killed

    def test_actors_stay_for_what_is_tried_again(self, hire):
        errors = [ValueError("torn")]
        crew = hire(lambda actor, segment: as_ray(errors.pop()) if segment and errors else None, shared=True)
        killed = []
        for segments in (self.SEGMENTS, self.SEGMENTS[:1]):
            list(crew.score(segments, b"", 2, "k"))
            killed.append(list(ray_crew().ray.killed))
        assert killed == [[], [0, 1]]

    @pytest.mark.parametrize(
        ("threads", "gpus", "told"),
        [
            (4, 0.0, r"takes 4 CPU \(scoring\.cpus\): the largest of 1 has 2 CPU and 1 GPU$"),
            (
                1,
                2.0,
                r"takes 1 CPU and 2 GPU \(scoring\.cpus and scoring\.gpus\): the largest of 1 has 2 CPU and 1 GPU$",
            ),
        ],
    )
    def test_what_no_node_can_hold_is_refused(self, hire, monkeypatch, threads, gpus, told):
        hire(None)
        crew = ray_crew().Crew("job", threads, gpus)
        with pytest.raises(RuntimeError, match="^no node of Ray can hold an actor, which " + told):
            next(crew.score(self.SEGMENTS, b"", None, "k"))

    def test_an_autoscaler_is_waited_for(self, hire, monkeypatch, caplog):
        """A minute, and no longer once it is known that there is none."""
        hire(None)
        times = iter([0.0, 30.0, 60.0])
        grows = iter([True, True, True, False])
        monkeypatch.setattr(ray_crew(), "time", SimpleNamespace(monotonic=lambda: next(times)))
        monkeypatch.setattr(ray_crew(), "_may_grow", lambda: next(grows))
        monkeypatch.setattr(ray_crew().ray, "wait", lambda asked, timeout: ([], asked))
        with pytest.raises(RuntimeError, match="no node of Ray can hold"):
            next(ray_crew().Crew("job", 4, 0.0, shared=True).score(self.SEGMENTS, b"", None, "k"))
        told = "no actor of Ray has started for {} s; each takes 4 CPU, and of 2 CPU in the cluster 1 CPU are free"
        told += ", but no node has as many, unless an autoscaler brings one"
        assert caplog.messages == [told.format(30), told.format(60)]

    @pytest.mark.parametrize(("gpus", "room"), [(0.1, 10), (0.3, 3), (0.5, 2), (1.0, 1)])
    def test_parts_of_a_gpu_fill_it(self, hire, monkeypatch, gpus, room):
        hire(None)
        monkeypatch.setattr(ray_crew().ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 16.0, "GPU": 1.0}}])
        assert ray_crew().Crew("job", 1, gpus)._room() == room

    @pytest.mark.parametrize("method", ["ready", "score", "rest"])
    def test_an_actor_that_the_cluster_does_not_know_is_lost(self, hire, monkeypatch, method):
        crew = hire(lambda actor, segment: None)

        def fail(*_):
            raise Exception("Can't find actor 1. It might be dead")  # noqa: TRY002  as Ray does

        crew._hire(), crew._hire()
        monkeypatch.setattr(crew._actors[0], method, SimpleNamespace(remote=fail))
        assert [error for _, error in crew.score(self.SEGMENTS, b"", 2, "k")] == [None] * 6
        assert ray_crew().ray.hired == 2 + (method != "rest")

    def test_jobs_of_two_rays_are_two(self, monkeypatch):
        pytest.importorskip("ray")
        context = SimpleNamespace(get_job_id=lambda: "01000000", get_node_id=iter("ab").__next__)
        here = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
        monkeypatch.setattr(ray_crew(), "ray", here)
        assert ray_crew().start(None) != ray_crew().start(None)

    def test_a_shard_that_is_not_seen_is_told(self, tmp_path, monkeypatch):
        pytest.importorskip("ray")
        monkeypatch.setattr("mtal.scoring.ray_crew.start", lambda address: "job")
        monkeypatch.setattr("mtal.scoring.ray_crew.Crew.score", lambda *given: iter([(self.SEGMENTS[0], None)]))
        work = SimpleNamespace(
            shards=Shards(tmp_path, "k", 9), what=SimpleNamespace(threads=1), device=CPU, packed=lambda model: b""
        )
        done = []
        ((_, error),) = RayActors().score(self.SEGMENTS[:1], work, None, done.append)
        assert str(error) == "an actor has scored it, and no shard is seen; is the run folder on a shared disk?"
        assert sum(done) == 0

    @pytest.mark.parametrize(
        ("cause", "told"),
        [
            (Stopped(signal.SIGINT), Stopped),
            (twice(Stopped(signal.SIGTERM)), Stopped),
            (ValueError("of Ray's own"), SystemError),
            (None, SystemError),
        ],
    )
    def test_signals_that_arrive_while_ray_waits_end_the_program(self, tmp_path, monkeypatch, cause, told):
        pytest.importorskip("ray")
        from mtal.scoring import ray_crew

        def wait(*_, **__):  # as Cython has it
            raise SystemError("CoreWorker.wait returned a result with an exception set") from cause

        clerk = Clerk()
        clerk.wait = wait
        monkeypatch.setattr(ray_crew, "ray", clerk)
        monkeypatch.setattr(ray_crew, "start", lambda address: "job")
        what, shards = SimpleNamespace(threads=1), SimpleNamespace(key="k")
        work = SimpleNamespace(what=what, shards=shards, device=CPU, packed=lambda model: b"")
        with pytest.raises(told):
            list(RayActors().score(self.SEGMENTS, work, None, lambda done: None))

    def test_paths_start_from_where_the_run_does(self, tmp_path, monkeypatch):
        pytest.importorskip("ray")
        from mtal.scoring import ray_crew

        monkeypatch.chdir("/")
        begun = []
        monkeypatch.setattr(ray_crew.ray, "get", lambda packed: packed)
        monkeypatch.setattr(
            ray_crew, "Worker", lambda *given: begun.append(Path.cwd()) or SimpleNamespace(do=begun.append)
        )
        actor = ray_crew._Actor(1, on_gpu=False)
        actor.score([b"", str(tmp_path)], self.SEGMENTS[0])
        assert begun == [tmp_path, self.SEGMENTS[0]]
        told = (
            r"/gone, where the run was started, can't be entered on .* \(No such file or directory\): it and the run "
        )
        with pytest.raises(OSError, match=told + "folder have to be on a disk that all nodes see$"):
            actor.score([b"new", str(tmp_path / "gone")], self.SEGMENTS[0])
