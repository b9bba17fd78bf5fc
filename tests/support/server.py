"""HTTP servers on loopback, good and bad ones."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Quiet(SimpleHTTPRequestHandler):
    """Gives the files of a folder, each as a whole."""

    def log_message(self, *_: object) -> None:
        pass


class Ranged(Quiet):
    """Gives any part of a file; `cut` bytes of it at most, and then the connection breaks."""

    cut: int | None = None
    asked: list[str]  # the parts that were asked for, in order

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        first = int(wanted.removeprefix("bytes=").removesuffix("-") or 0)
        if first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:][: self.cut])


def ranged(cut: int | None = None) -> type[Ranged]:
    """A `Ranged` that remembers what it was asked."""
    return type("Asked", (Ranged,), {"asked": [], "cut": cut})


@contextmanager
def served(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """The address at which the files of `folder` are."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
