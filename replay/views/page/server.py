"""The page live: Bokeh's server in a thread of its own, which nobody can write to."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import ErrorHandler

from replay.engine.rows import InputError
from replay.views.history import History
from replay.views.page.access import Access, bracketed, parse_address
from replay.views.page.content import content_of, texts_of
from replay.views.page.figures import Page
from replay.views.page.fleet import FleetTable
from replay.views.page.metrics import Metrics, MetricsHandler
from replay.views.parameters import Parameters

EVERY = 500
"""Milliseconds between two looks at the history."""
WHOLE_EVERY = 4
"""Looks between two at the whole series, of which most does not change."""
SLOW = ("whole", "rug", "scores", "stretches")
"""What is sent then only."""
BUCKETS = 800
"""Of the whole series: each look sends them all."""
MOST_SEGMENTS = 100
"""Segments listed, the last ones."""
NOT_KEPT = (
    "rows of this series are drawn from the moment on at which somebody looked at it: of so many "
    "series not all are kept"
)
PATIENCE = 10.0
"""Seconds in which the server has to stop."""
SILENT = (
    *("tornado.access", "tornado.general"),
    *("bokeh.server.protocol_handler", "bokeh.server.views.ws"),
)
"""Loggers that would print every request for what is not there or not allowed."""
UNSERVED = ("metadata", "autoload.js")
"""What Bokeh would serve beside the page."""
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'"
)


class _Guarded(BokehTornado):
    """Bokeh's application, behind `Access`: pages, files and websockets alike."""

    def __init__(self, access: Access, *arguments: Any, **options: Any) -> None:
        self._access = access
        super().__init__(*arguments, **options)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if self._access.permits(request):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})


class PageServer:
    """Serves the page from `start` to `stop`.

    Parameters
    ----------
    address
        HOST:PORT; port 0 takes any that is free. Requests that name another host are refused, as
        are those of pages of other origins. If other machines can connect, the address of the page
        holds a token, and requests without it are refused.
    title
        Of the page.
    history
        What is shown.
    parameters
        Gives what is learnt of a key; called by the server's thread.
    allowed
        More host names under which browsers may open the page.
    metrics
        What Prometheus reads under ``metrics``, beside the page; None for nothing.
    with_costs
        Whether the page shows what regimes cost.

    Attributes
    ----------
    url
        The address of the page, once started.
    cost
        Who can read the page, once started: a sentence for the person who starts it.

    Raises
    ------
    InputError
        If the address is not HOST:PORT.

    Notes
    -----
    Who looks has a copy of the page: what they change in it (a key chosen, a figure zoomed) is
    theirs and goes with it.
    """

    def __init__(
        self,
        address: str,
        title: str,
        history: History,
        parameters: Callable[[str], Parameters | None] = lambda key: None,
        allowed: Sequence[str] = (),
        metrics: Metrics | None = None,
        with_costs: bool = False,
    ) -> None:
        self.host, self.port = parse_address(address)
        self.title = title
        self.history = history
        self.parameters = parameters
        self.allowed = allowed
        self.metrics = metrics
        self.with_costs = with_costs
        self._access: Access | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    @property
    def url(self) -> str:
        access = self._started()
        return f"http://{access.name}:{self.port}{access.path}"

    @property
    def cost(self) -> str:
        return self._started().cost

    def _started(self) -> Access:
        if self._access is None:
            raise RuntimeError("the page is not served yet; call start() first")
        return self._access

    def start(self) -> None:
        """Serve; when this returns the page can be opened.

        Raises
        ------
        InputError
            If the port is taken, the host is none of this machine's, or it takes a name to be
            allowed and there is none.
        """
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listening = socket.create_server((self.host, self.port), family=family)
        except (OSError, UnicodeError) as error:
            # Python tells the address as well
            reason = (getattr(error, "strerror", None) or "no such host").partition(" (while")[0]
            raise InputError(
                f"--serve {bracketed(self.host)}:{self.port} cannot be served: {reason}; choose "
                "another port or host"
            ) from None
        try:
            self._access = Access(self.host, listening.getsockname()[0], self.allowed)
        except InputError:
            listening.close()
            raise
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        for name in SILENT:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening, ready)), name="page", daemon=True
        )
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close the page, if it is open."""
        if self._thread is None or self._loop is None or self._stopped is None:
            return
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)
        self._thread = None

    def __enter__(self) -> PageServer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    async def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        access = self._started()
        application = _Guarded(
            access,
            Application(FunctionHandler(self._open)),
            prefix=access.token,
            # `Access` has checked the origin of every request already
            extra_websocket_origins=["*"],
            stats_log_frequency_milliseconds=3_600_000,
        )
        gone = {"status_code": 404}
        paths = [access.path + name for name in UNSERVED]
        application.add_handlers(".*", [(path, ErrorHandler, gone) for path in paths])
        if self.metrics is not None:
            beside = access.path + "metrics"
            application.add_handlers(".*", [(beside, MetricsHandler, {"metrics": self.metrics})])
        http = HTTPServer(application, max_body_size=0)
        http.add_socket(listening)
        server = BaseServer(IOLoop.current(), application, http)
        server.start()
        ready.set()
        await self._stopped.wait()
        server.stop()
        await http.close_all_connections()
        # those whose connection has just been closed come to their end
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=1.0)

    def _open(self, document: Document) -> None:
        """Give someone who has come the page."""
        context: Any = document.session_context
        arguments = {} if context is None else context.request.arguments
        view = _View(
            self, {name: its[0].decode(errors="replace") for name, its in arguments.items()}
        )
        view.page.add_to(document, self.title, POLICY, view.fleet.controls)
        view.update()
        document.add_periodic_callback(view.update, EVERY)


class _View:
    """The page as one visitor sees it.

    Parameters
    ----------
    server
        Whose page it is.
    asked
        What the address asks for: a key, what is searched for, and the order of the keys.
    """

    def __init__(self, server: PageServer, asked: Mapping[str, str]) -> None:
        values, clock = server.history.values, server.history.clock
        self.page = Page(values, True, with_costs=server.with_costs, zone=clock.zone)
        self.fleet = FleetTable(values, clock, asked.get("find", ""), asked.get("order", "strange"))
        self._server = server
        self._looks = 0
        # of what was shown last: the key, its rows, and its rows when all of it was shown
        self._shown: tuple[str, int, int] | None = None
        self._parameters: Parameters | None = None
        if asked.get("key") in server.history.roster:
            self.page.offer([asked["key"]])

    def update(self) -> None:
        """Send what is new."""
        roster, page = self._server.history.roster, self.page
        if self.fleet.has_changed or self._looks % WHOLE_EVERY == 0:
            page.write({"keys": self.fleet.update(roster, self._server.parameters)})
        self._looks += 1
        if not len(roster):
            return
        key = self._chosen()
        if key is not None:
            self._show(key)

    def _chosen(self) -> str | None:
        """The key that is shown; it stays among those that can be chosen."""
        page, listed = self.page, self.fleet.listed
        # what a visitor's page sends may be anything
        value = page.select.value if page.select.value in self._server.history.roster else None
        keys = listed if value is None or value in listed else [value, *listed]
        if set(page.keys) != set(keys):
            # those that are there stay where they are
            kept = [key for key in page.keys if key in keys]
            page.offer(kept + [key for key in keys if key not in kept])
        return value or (keys[0] if keys else None)

    def _show(self, key: str) -> None:
        history, page = self._server.history, self.page
        is_whole = history.watch(key)
        parameters, standing = self._server.parameters(key), history.roster.get(key)
        if standing is None:
            return
        n = standing.n
        same = self._shown is not None and self._shown[0] == key
        before, whole_before = self._shown[1:] if same and self._shown else (0, 0)
        whole = not same or (n > whole_before and self._looks % WHOLE_EVERY == 0)
        if n == before and parameters is self._parameters and not whole:
            return
        segments, n_segments = history.segments(key)
        its = segments[-MOST_SEGMENTS:], n_segments, parameters
        shown = history.values, history.clock, *its
        try:
            snapshot = history.snapshot(key, BUCKETS)
        except KeyError:
            if not same:
                page.clear()
            page.write(texts_of(standing.head(), *shown, note=NOT_KEPT))
            self._shown, self._parameters = (key, n, n), parameters
            return
        content = content_of(snapshot, *its, recent=True)
        if not is_whole:
            head = standing.head()
            content.texts = texts_of(head, *shown, note=NOT_KEPT)
        if not whole:
            for name in [name for name in content.data if name.startswith(SLOW)]:
                del content.data[name]
        new = n - before
        lines = [f"recent {j}" for j in range(len(history.values))]
        streamed = {name: new for name in lines if name in content.data}
        fits = same and 0 <= new < min(len(content.data[name]["x1"]) for name in streamed)
        page.show(content, streamed if fits else None)
        self._shown, self._parameters = (key, n, n if whole else whole_before), parameters
