"""Couriers: each sends notices to one target, in a thread of its own, until they arrive."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from online_gmm.data.counted import counted
from replay.engine.rows import InputError

MOST_PENDING = 10_000
"""Notices that wait for a target; of more, the oldest are dropped, which is said."""
FIRST_NAP, LONGEST_NAP = 1.0, 60.0
"""Seconds between two tries: twice as many after each."""
FAREWELL = 10.0
"""Seconds in which what is on its way may arrive at the end."""
PATIENCE = 10.0
"""Seconds that a target has to take a notice."""
LONGEST_PROBLEM = 200
"""Characters of what a target says that are shown."""


class DeliveryError(Exception):
    """A notice has not arrived, and why."""


class Target(Protocol):
    """Where notices go."""

    def send(self, notice: Mapping[str, Any]) -> None:
        """Send one notice; when this returns, it has arrived.

        Raises
        ------
        DeliveryError
            If it has not.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class Courier:
    """Brings notices to a target, one after the other, again and again until each has arrived.

    Parameters
    ----------
    name
        Of the target, for people.
    target
        Where they go.
    say
        Takes what somebody should know: that a target does not take them.
    first_nap
        Seconds between the first two tries.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        say: Callable[[str], object] = lambda text: None,
        first_nap: float = FIRST_NAP,
    ) -> None:
        self.name = name
        self.n_dropped = self.n_failed = 0
        self._target = target
        self._say = say
        self._first_nap = first_nap
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"notify {name}", daemon=True)
        self._thread.start()

    def take(self, notices: Iterable[Mapping[str, Any]]) -> None:
        """Take notices to be brought."""
        with self._changed:
            self._waiting.extend(notices)
            while len(self._waiting) > MOST_PENDING:
                self._waiting.popleft()
                self.n_dropped += 1
                if self.n_dropped == 1:
                    self._say(
                        f"--notify {self.name}: more than {MOST_PENDING:,} notices wait; the "
                        "oldest are dropped"
                    )
            self._changed.notify_all()

    def pending(self) -> list[Mapping[str, Any]]:
        """The notices that have not arrived yet."""
        with self._changed:
            return list(self._waiting)

    def close(self, within: float = FAREWELL) -> None:
        """End, when all has arrived or so many seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, within)
            left, self._is_closing = len(self._waiting), True
            self._changed.notify_all()
        self._thread.join(PATIENCE)
        self._target.close()
        if left or self.n_dropped:
            lost = f", dropped: {self.n_dropped:,}" if self.n_dropped else ""
            self._say(
                f"--notify {self.name}: {counted(left, 'notices have')} not arrived{lost}; a "
                "checkpoint keeps those that have not, and --resume tells them"
            )

    def _run(self) -> None:
        nap = self._first_nap
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if self._is_closing:
                    return
                notice = self._waiting[0]
            try:
                self._target.send(notice)
            except DeliveryError as error:
                self._failed(str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closing, nap)
                nap = min(2.0 * nap, LONGEST_NAP)
                continue
            nap = self._first_nap
            with self._changed:
                if self._waiting and self._waiting[0] is notice:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _failed(self, problem: str) -> None:
        self.n_failed += 1
        if self.n_failed == 1:
            self._say(
                f"--notify {self.name}: a notice has not arrived ({problem[:LONGEST_PROBLEM]}); it "
                "is tried again until it does"
            )


class Webhook:
    """Posts notices as JSON to a URL, which must answer with a status from 200 to 299."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, notice: Mapping[str, Any]) -> None:
        request = urllib.request.Request(
            self._url,
            msgspec.json.encode(notice),
            {"Content-Type": "application/json", "User-Agent": "online-gmm"},
        )
        try:
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise DeliveryError(str(error)) from None

    def close(self) -> None:
        """Nothing is open."""


class Command:
    """Runs a command for each notice, with the JSON on its standard input; status 0 is arrival.

    Fields of the notice are in the environment too, as REPLAY_KEY, REPLAY_REGIME and so on.

    Raises
    ------
    InputError
        If there is no such command.
    """

    def __init__(self, line: str) -> None:
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise InputError(f"--notify command:{line}: {error}") from None
        if not self._words or shutil.which(self._words[0]) is None:
            raise InputError(
                f"--notify command:{line}: there is no program "
                f"{self._words[0] if self._words else ''!r}; give its path"
            )

    def send(self, notice: Mapping[str, Any]) -> None:
        variables = {
            f"REPLAY_{name.upper()}": "" if value is None else str(value)
            for name, value in notice.items()
        }
        try:
            done = subprocess.run(
                self._words,
                input=msgspec.json.encode(notice),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **variables},
                timeout=PATIENCE,
                start_new_session=True,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise DeliveryError(str(error)) from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise DeliveryError(f"status {done.returncode} {said}".rstrip())

    def close(self) -> None:
        """Nothing is open."""


class Chat:
    """Sends notices as sentences to a service that apprise knows: e-mail, chats, phones.

    Raises
    ------
    InputError
        If apprise is not installed, or knows no such address.
    """

    def __init__(self, url: str) -> None:
        try:
            from apprise import Apprise
        except ModuleNotFoundError:
            raise InputError(
                f"--notify {url.partition('://')[0]}:// needs apprise; install it with: pip "
                "install 'online-gmm[notify]'"
            ) from None
        self._apprise = Apprise()
        if not self._apprise.add(url):
            raise InputError(
                f"--notify {url.partition('://')[0]}://...: apprise knows no such address; "
                "https://github.com/caronc/apprise lists all"
            )

    def send(self, notice: Mapping[str, Any]) -> None:
        text = sentence(notice)
        if not self._apprise.notify(body=text, title=text):
            raise DeliveryError("the service has not taken it")

    def close(self) -> None:
        """Nothing is open."""


def sentence(notice: Mapping[str, Any]) -> str:
    """A notice in words.

    Examples
    --------
    >>> sentence({"key": "pump-7", "kind": "change", "regime": 2, "name": "idle", "before": 1,
    ...           "since": "2026-03-20T11:00:00Z", "since_row": 90, "probability": 0.99})
    'pump-7: regime 2 (idle), before 1, since 2026-03-20T11:00:00Z, probability 99 %'
    """
    of = f"{notice['key']}: " if notice["key"] else ""
    still = "still " if notice["kind"] == "still" else ""
    if notice["regime"] is None:
        return f"{of}{still}regime unknown"
    name = f" ({notice['name']})" if notice["name"] else ""
    before = "" if notice["before"] is None else f", before {notice['before']}"
    since = notice["since"] or f"row {notice['since_row']:,}"
    sure = notice["probability"]
    probability = "" if sure is None else f", probability {100.0 * sure:.3g} %"
    return f"{of}{still}regime {notice['regime']}{name}{before}, since {since}{probability}"
