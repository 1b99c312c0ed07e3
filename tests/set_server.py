"""A server on this machine that hands out archives as badly as the network can."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html>Please log in.</html>"


class SetServer(ThreadingHTTPServer):
    """Serves one archive; `plan` says how each download goes, then all go well.

    Of `plan`, each word is for one download: ok, truncate (half of it), stall (half of
    it, then silence), page (a web page instead), or a status code, with seconds of
    Retry-After behind a colon.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.plan, self.asked = b"", [], []
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """Answer as Kaggle: which version is the newest, and where its archive lies."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/datasets.DatasetApiService/GetDataset":
            answer = json.dumps({"currentVersionNumber": 2}).encode()
            self.answer(200, answer, {"Content-Type": "application/json"})
        else:
            self.answer(302, b"", {"Location": f"{self.server.url}/archive"})

    def do_HEAD(self):
        self.answer(200, b"", {})

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        range_ = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        # kagglehub asks twice when it goes on: for the whole, then for the rest.
        word = self.server.plan.pop(0) if self.server.plan else "ok"
        if word[0].isdigit():
            code, _, seconds = word.partition(":")
            self.answer(int(code), b"", {"Retry-After": seconds} if seconds else {})
        elif word == "page":
            self.answer(200, PAGE, {"Content-Type": "text/html"})
        else:
            whole = self.server.content
            start = int(range_[1]) if range_ else 0
            end = len(whole) // 2 if word in ("truncate", "stall") else None
            self.answer(206 if range_ else 200, whole[start:], self.facts(), end)
            if word == "stall":
                self.wfile.flush()
                self.server.over.wait(20)
            self.close_connection = True

    def facts(self):
        md5 = base64.b64encode(hashlib.md5(self.server.content).digest()).decode()
        return {"Accept-Ranges": "bytes", "x-goog-hash": f"crc32c=AAAAAA==,md5={md5}"}

    def answer(self, code, body, headers, end=None):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[:end])
        except OSError:
            self.close_connection = True

    def log_message(self, *words):
        pass
