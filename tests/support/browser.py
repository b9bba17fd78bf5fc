"""Chromium, which takes seconds to start: one for all the pages that a process looks at."""

import atexit
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from functools import cache
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--no-first-run", "--remote-debugging-pipe"),
)
SECONDS = 120.0  # to wait for an answer
VIRTUAL = 10_000  # milliseconds of a page's own time, which pass as fast as it can compute
COMPLAINTS = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class Browser:
    """Asked by the DevTools protocol: JSON on a pipe, each message with a zero byte at its end."""

    def __init__(self) -> None:
        self.profile = tempfile.mkdtemp(prefix="browser-")
        read, self.to = os.pipe()
        self.of, write = os.pipe()
        exchange = f'exec "$0" "$@" 3<&{read} 4>&{write}'  # where Chromium reads and writes
        command = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={self.profile}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            ["bash", "-c", exchange, *command], pass_fds=(read, write), **quiet
        )
        os.close(read)
        os.close(write)
        self.number, self.rest = 0, b""
        self.events: list[dict[str, Any]] = []
        atexit.register(self.close)

    def close(self) -> None:
        os.close(self.to)  # which ends it
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.of)
        shutil.rmtree(self.profile, ignore_errors=True)

    def show(self, address: str) -> tuple[str, list[str]]:
        """The HTML of a page after it has run, and what was complained of meanwhile."""
        context = self.ask("Target.createBrowserContext")  # which shares nothing with others
        tab = self.ask("Target.createTarget", url="about:blank", **context)
        page = self.ask("Target.attachToTarget", **tab, flatten=True)["sessionId"]
        self.events.clear()
        for part in ("Page", "Runtime", "Log"):
            self.ask(f"{part}.enable", page)
        failed = self.ask("Page.navigate", page, url=address).get("errorText")
        assert not failed, f"{address}: {failed}"
        self.until("Page.loadEventFired")
        self.ask("Emulation.setVirtualTimePolicy", page, policy="advance", budget=VIRTUAL)
        self.until("Emulation.virtualTimeBudgetExpired")
        html = "document.documentElement.outerHTML"
        found = self.ask("Runtime.evaluate", page, expression=html)["result"]["value"]
        said = [json.dumps(each) for each in self.events if each["method"] in COMPLAINTS]
        self.ask("Target.disposeBrowserContext", **context)
        return f"<!DOCTYPE html>\n{found}", said

    def ask(self, method: str, page: str | None = None, **parameters: Any) -> dict[str, Any]:
        """What the browser answers."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        message |= {"sessionId": page} if page else {}
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def until(self, method: str) -> None:
        """Wait for an event."""
        while not any(each["method"] == method for each in self.events):
            self.events.append(self.read())

    def read(self) -> dict[str, Any]:
        """The next message."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.of], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self.of, 1 << 16)
            assert part, "the browser has ended"
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)


@cache
def browser() -> Browser:
    return Browser()
