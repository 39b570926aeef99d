"""Label Studio's web interface for programs: who is asked, with which token, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import requests

from mtal.annotation.oracle import AwayError

TOKEN = "LABEL_STUDIO_API_KEY"  # noqa: S105  (the name of the variable)
_TIMEOUT_S = (10, 300)  # to connect, to answer
_PAGE = 1000


class Server:
    """Calls to one server. The token is read from the environment, and is in no message.

    Both kinds of token are taken: a personal access token, for which the server gives short-lived ones, and a legacy
    token.

    Args:
        url: of the server, such as ``http://localhost:8080``.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = self._authorize  # rather than a header, which a .netrc would go before
        self._access = ""

    def get(self, path: str, **params: Any) -> Any:
        """What is there; see :meth:`_call` for errors."""
        return self._call("GET", path, params=params)

    def post(self, path: str, content: Any, **params: Any) -> Any:
        """Send JSON."""
        return self._call("POST", path, params=params, json=content)

    def upload(self, path: str, files: Mapping[str, bytes], **params: Any) -> Any:
        """Send files by their names."""
        return self._call("POST", path, params=params, files={n: (n, content) for n, content in files.items()})

    def delete(self, path: str) -> None:
        """Delete what is there."""
        self._call("DELETE", path)

    def tasks(self, project: int, ids: Sequence[int] | None = None) -> Iterable[dict[str, Any]]:
        """Tasks of a project in the order of their ids: all without their annotations, or some with them."""
        params: dict[str, Any] = {"project": project, "page_size": _PAGE}
        if ids is not None:
            chosen = ", ".join(map(str, ids))
            params |= {"fields": "all", "query": f'{{"selectedItems": {{"all": false, "included": [{chosen}]}}}}'}
        page, left = 1, 1
        while left > 0:
            found = self.get("/api/tasks", page=page, **params)
            yield from found["tasks"]
            left = found["total"] - page * _PAGE
            page += 1

    def _call(self, method: str, path: str, *, renewed: bool = False, **how: Any) -> Any:
        """The answer.

        Raises:
            AwayError: no server answers, or it is not well.
            PermissionError: the token is wrong, or may not do this.
            LookupError: there is no such thing.
            ValueError: the server refuses what it is sent.
        """
        try:
            answer = self._session.request(method, self.url + path, timeout=_TIMEOUT_S, **how)
        except requests.RequestException as error:
            raise AwayError(
                f"Label Studio at {self.url} does not answer ({_why(error)}); once it does, the same command goes on"
            ) from None
        if answer.status_code == 401 and self._access and not renewed:  # the short-lived one has run out
            self._access = ""
            return self._call(method, path, renewed=True, **how)
        self._refused(answer, method, path)
        if not answer.content:
            return None
        return self._content(answer)

    def _content(self, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise ValueError(f"oracle.url={self.url} answers, but it is no Label Studio; correct the address") from None

    def _refused(self, answer: requests.Response, method: str, path: str) -> None:
        """Raise what a status means; see :meth:`_call`."""
        status = answer.status_code
        if status == 401:
            raise self._unknown()
        if status == 403:
            raise PermissionError(
                f"Label Studio at {self.url}: the owner of the token in {TOKEN} may not {method} {path}; take the "
                "token of somebody who may change the project"
            )
        if status >= 500:
            raise AwayError(
                f"Label Studio at {self.url} is not well ({status} for {method} {path}), as its log tells; once it is, "
                "the same command goes on"
            )
        if status == 404:
            raise LookupError(f"Label Studio at {self.url} has no {path}")
        if status >= 400:
            raise ValueError(f"Label Studio at {self.url} refuses {method} {path}: {answer.text[:500]}")

    def _unknown(self) -> PermissionError:
        return PermissionError(
            f"Label Studio at {self.url} does not take the token in {TOKEN}; take a new one from its page Account & "
            "Settings"
        )

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            raise PermissionError(
                f"{TOKEN} is not set; take a token from the page Account & Settings of Label Studio at {self.url}, and "
                f"export {TOKEN}=…"
            )
        if token.count(".") != 2:
            request.headers["Authorization"] = f"Token {token}"
            return request
        if not self._access:
            self._access = self._short_lived(token)
        request.headers["Authorization"] = f"Bearer {self._access}"
        return request

    def _short_lived(self, token: str) -> str:
        answer = requests.post(f"{self.url}/api/token/refresh/", json={"refresh": token}, timeout=_TIMEOUT_S)
        if not answer.ok:
            self._refused(answer, "POST", "/api/token/refresh/")
        return str(self._content(answer)["access"])


def address_faults(url: str) -> Iterator[str]:
    """What is wrong with the address of a server, as far as it can be told without calling it."""
    try:
        requests.Request("GET", f"{url.rstrip('/')}/api").prepare()
        requests.Session().get_adapter(url)
    except requests.exceptions.InvalidURL as error:
        yield f"oracle.url={url}: {error}; write http://HOST:PORT"
    except (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
        yield f"oracle.url={url} is no address of a server; write http://HOST:PORT"


def _why(error: requests.RequestException) -> str:
    """In few words; the text of the library has the whole request in it."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted, or it speaks http and not https"
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return f"it sends on to what is no address: {error}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "the connection broke" if "aborted" in str(error).lower() else "no connection"
