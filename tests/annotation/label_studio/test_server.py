import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from time import sleep

import pytest
import requests
from label_studio_server import TOKEN, Cut, StatusError, choices

from mtal.annotation import AwayError, LabelStudioOracle, settle
from mtal.annotation.label_studio.project import Project


class TestServer:
    def test_away_and_back(self, start, request_of, asked, fake, monkeypatch, caplog):
        for number in asked.values():
            fake.annotate(number, [choices("frame", "unusable")])
        looks = []

        def gone(method: str, path: str) -> None:
            if len(looks) < 2:
                raise StatusError(502)

        fake.before = gone
        monkeypatch.setattr("mtal.annotation.oracle.time.sleep", looks.append)
        with pytest.raises(AwayError, match=r"Label Studio at http://\S+ is not well \(502 for GET /api/tasks\), as"):
            settle(start(), request_of())
        settle(start(wait=True, poll_s=7), request_of())
        assert looks == [7, 7]
        assert [r.getMessage() for r in caplog.records if "trying again every 7 s" in r.getMessage()] != []
        assert len([r for r in caplog.records if "not well" in r.getMessage()]) == 1

    def test_runs_that_begin_at_once_have_one_project(self, start, fake, monkeypatch):
        """Of a sweep, whose runs have one title and one store: none makes a project while another looks for it."""
        both, look = Barrier(2), Project._found

        def found(self):
            number = look(self)
            with suppress(BrokenBarrierError):
                both.wait(0.3)
            return number

        monkeypatch.setattr(Project, "_found", found)
        oracles = [start(), start()]
        with ThreadPoolExecutor() as pool:
            # past the property, which in Python 3.11 has a lock of its own among threads, and none among processes
            numbers = [*pool.map(lambda oracle: Project.number.func(oracle.project), oracles)]
        assert numbers == [*fake.projects] * 2

    def test_nobody_there(self, start, request_of):
        told = r"Label Studio at http://127\.0\.0\.1:9 does not answer \(no connection\); once it does, the same"
        with pytest.raises(AwayError, match=told):
            start(url="http://127.0.0.1:9").ask(request_of())

    def test_a_call_that_it_refuses(self, start, request_of, fake):
        def refuse(method: str, path: str) -> None:
            if path.endswith("/import"):
                raise StatusError(413)

        fake.before = refuse
        with pytest.raises(ValueError, match=r"refuses POST /api/projects/1/import: .*as the test has it"):
            start().ask(request_of())

    def test_https_where_there_is_none(self, start, url, request_of):
        with pytest.raises(AwayError, match="its certificate is not trusted, or it speaks http and not https"):
            start(url=url.replace("http:", "https:")).ask(request_of())

    def test_an_answer_that_does_not_come(self, start, request_of, fake, monkeypatch):
        monkeypatch.setattr("mtal.annotation.label_studio.server._TIMEOUT_S", (5, 0.05))
        fake.before = lambda method, path: sleep(0.3)
        with pytest.raises(AwayError, match=r"\(no answer in time\)"):
            start().ask(request_of())

    @pytest.mark.parametrize(
        ("address", "why"),
        [("ward:8080", "is no address of"), ("", "is no address of a server"), ("http://", "write http://HOST:PORT")],
    )
    def test_no_address(self, start, request_of, address, why):
        with pytest.raises(ValueError, match=why):
            start(url=address).ask(request_of())

    def test_sent_on_to_what_is_no_address(self, start, request_of, monkeypatch):
        def sent_on(*_, **__):
            raise requests.exceptions.InvalidSchema("No connection adapters were found for 'ward://'")

        monkeypatch.setattr("requests.Session.request", sent_on)
        with pytest.raises(AwayError, match=r"\(it sends on to what is no address: No connection adapters .*ward"):
            start().ask(request_of())

    def test_another_program_answers(self, start, request_of, fake):
        fake.answer = lambda *_: (200, b"<html>")
        with pytest.raises(ValueError, match="answers, but it is no Label Studio; correct the address"):
            start().ask(request_of())

    def test_wrong_token(self, start, request_of, monkeypatch):
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", "deadbeef")
        with pytest.raises(PermissionError, match="does not take the token in LABEL_STUDIO_API_KEY; take") as error:
            start().ask(request_of())
        assert "deadbeef" not in str(error.value)

    def test_no_token(self, start, request_of, monkeypatch):
        monkeypatch.delenv("LABEL_STUDIO_API_KEY")
        with pytest.raises(PermissionError, match="LABEL_STUDIO_API_KEY is not set; take a token from the page"):
            start().ask(request_of())

    def test_a_token_that_lacks_rights(self, start, request_of, fake):
        def refuse(method: str, path: str) -> None:
            if method == "POST":
                raise StatusError(403)

        fake.before = refuse
        with pytest.raises(PermissionError, match=r"may not POST /api/projects/; take the token of somebody who may"):
            start().ask(request_of())

    def test_a_personal_token_is_exchanged_and_exchanged_again(self, start, request_of, fake, monkeypatch):
        fake.legacy = False
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", f"a.{TOKEN}.z")
        oracle = start()
        oracle.ask(request_of())
        oracle.project.server._access = "short and run out"
        oracle.collect()
        assert len([path for _, path in fake.calls if "refresh" in path]) == 2
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a.wrong.z")
        with pytest.raises(PermissionError, match="does not take the token"):
            start().collect()

    def test_the_token_goes_nowhere(self, start, asked, tmp_path, caplog, request_of, fake):
        start().collect()
        fake.before = lambda method, path: (_ for _ in ()).throw(Cut())
        with pytest.raises(AwayError) as error:
            start().ask(request_of())
        assert TOKEN not in f"{error.value!r} {error.value.__cause__!r} {caplog.text}"
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or TOKEN.encode() not in file.read_bytes()
        assert os.environ["LABEL_STUDIO_API_KEY"] == TOKEN

    def test_a_project_of_somebody_else_has_the_title(self, start, request_of, fake):
        config = "<View><Choices name='x' toName='image'><Choice value='a'/></Choices></View>"
        fake.projects[5] = {"id": 5, "title": "ward", "description": "mine", "label_config": config}
        with pytest.raises(
            ValueError, match=r"has a project 'ward' already \(number 5\), which is none of ours; rename"
        ):
            start().ask(request_of())
        assert fake.tasks == {}

    def test_the_project_is_gone(self, start, asked, request_of, fake):
        fake.projects.clear()
        with pytest.raises(
            LookupError, match=r"project 1 \('ward'\) is gone from http://\S+; restore it from a backup"
        ):
            start().ask(request_of())

    def test_an_interface_that_was_changed_is_told_before_more_is_asked(self, start, asked, fake, request_of):
        (project,) = fake.projects.values()
        fake.draw(1, project["label_config"].replace('name="label/tools"', 'name="tools"'))
        del fake.tasks[asked["v/000001"]]
        with pytest.raises(ValueError, match=r"label/tools is gone\. Put that back in Settings > Labeling"):
            start().ask(request_of())
        assert len(fake.tasks) == 2

    @pytest.mark.parametrize("title", ["ab", "a" * 51])
    def test_a_title_that_it_does_not_take(self, dataset, tmp_path, title):
        with pytest.raises(ValueError, match=r"oracle\.project='a\w+': Label Studio takes titles of 3 to 50 signs"):
            LabelStudioOracle(dataset, "http://localhost:8080", tmp_path, title)
