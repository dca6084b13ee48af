#!/usr/bin/env python3
"""A driver for Downbeat: it makes buckets, which are folders on this machine.

Nothing but the standard library of Python 3.8 or newer. It does what the protocol asks for and
`downbeat driver test` checks, so it is a place to begin with your own driver:

    python3 driver.py --port 8081 --folder /tmp/buckets

With --signing-key FILE only requests that are signed with this key are accepted.
"""

import argparse
import base64
import hashlib
import hmac
import json
import pathlib
import re
import secrets
import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE = "s3"
# Requests that are older are not accepted, so that nobody can send one again later.
SIGNATURE_SECONDS = 300


class Refused(Exception):
    """The request cannot be fulfilled, now or later."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Handler(BaseHTTPRequestHandler):
    """PUT makes or updates a bucket, DELETE removes it."""

    protocol_version = "HTTP/1.1"
    options = None

    def do_PUT(self):
        self.serve(self.put)

    def do_DELETE(self):
        self.serve(self.delete)

    def serve(self, work):
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            self.verify(body)
            work(self.resource_id(), body)
        except Refused as refused:
            answer = {"error": refused.code, "message": refused.message}
            self.answer(refused.status, answer)

    def put(self, guresid, body):
        try:
            request = json.loads(body)
        except ValueError:
            raise Refused("RES-100", "the body is not JSON", 422)
        if not isinstance(request, dict) or request.get("type") != TYPE:
            raise Refused("RES-101", f"this driver makes {TYPE} only")
        driver = request.get("driver") or {}
        region = (driver.get("values") or {}).get("region", "local")
        if not isinstance(region, str):
            raise Refused("RES-102", "region must be a text")

        # The cookie is all that is remembered about a bucket. Without one it is new.
        cookie = self.cookie() or {"key": secrets.token_hex(16)}
        folder = self.options.folder / guresid
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        cookie["folder"] = str(folder)
        if is_new and self.options.slow:
            # What takes its time is answered with 202, and asked for again.
            return self.answer(202, {"status": "creating"}, cookie)
        outputs = {
            "values": {"bucket": f"bucket-{guresid[:12]}", "region": region},
            "secrets": {"aws_access_key_id": guresid[:20], "aws_secret_access_key": cookie["key"]},
        }
        answer = {"id": guresid, "type": TYPE, "resource": outputs, "manifests": []}
        self.answer(200, answer, cookie)

    def delete(self, guresid, _body):
        # What is gone already, or never was, is gone.
        shutil.rmtree(self.options.folder / guresid, ignore_errors=True)
        self.answer(204)

    def resource_id(self):
        guresid = self.path.rstrip("/").rsplit("/", 1)[-1]
        if not re.fullmatch("[0-9a-f]{1,64}", guresid):
            raise Refused("RES-103", "the path does not end with the id of a resource", 404)
        return guresid

    def cookie(self):
        text = self.headers.get("Humanitec-Driver-Cookie")
        if not text:
            return None
        try:
            cookie = json.loads(base64.b64decode(text, validate=True))
            return {"key": str(cookie["key"])}
        except (ValueError, KeyError, TypeError):
            raise Refused("RES-104", "the cookie is not one of this driver")

    def verify(self, body):
        """Makes sure that it is our Downbeat that calls."""
        key = self.options.signing_key
        if key is None:
            return
        parts = dict(
            part.split("=", 1)
            for part in self.headers.get("Downbeat-Signature", "").split(",")
            if "=" in part
        )
        sent = parts.get("t", "")
        text = f"{sent}\n{self.command}\n{self.path}\n".encode() + body
        expected = hmac.new(key, text, hashlib.sha256).hexdigest()
        fresh = sent.isdigit() and abs(time.time() - int(sent)) < SIGNATURE_SECONDS
        if not fresh or not hmac.compare_digest(expected, parts.get("v1", "")):
            raise Refused("RES-105", "the signature is missing or wrong", 401)

    def answer(self, status, body=None, cookie=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        if cookie is not None:
            cookie = base64.b64encode(json.dumps(cookie).encode()).decode()
            self.send_header("Set-Humanitec-Driver-Cookie", cookie)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, form, *args):
        # The request line only: cookies and bodies are secret.
        sys.stderr.write(f"{self.command} {self.path} {args[1] if len(args) > 1 else ''}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8081, help="0 for a free one")
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="where buckets are")
    parser.add_argument("--signing-key", type=pathlib.Path, help="accept signed requests only")
    parser.add_argument("--slow", action="store_true", help="answer 202 to the first request")
    options = parser.parse_args()
    if options.signing_key is not None:
        options.signing_key = options.signing_key.read_text().strip().encode()
    Handler.options = options
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
