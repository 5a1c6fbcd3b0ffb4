"""What the deployment has around it: processes on loopback, the issuer of tokens, and a gate before Huntress."""

import base64
import hashlib
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


BEGUN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGUN:6.1f} s  {text}", flush=True)


def expect(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def free_port():
    """A port that nobody listens on. Not one of those that outgoing connections take: one of them could have it before its server does."""
    while True:
        port = random.randint(15000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, holds, seconds):
    """The first true answer of `holds`, asked again and again for so long."""
    end = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.25)


class Process:
    """A server that was started here, and is ended by its id, with everything that it started."""

    def __init__(self, command, log, env=None, folder=None):
        self.log = open(log, "w+b")
        self.child = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, env=env, cwd=folder, start_new_session=True, stdin=subprocess.DEVNULL
        )

    def text(self):
        with open(self.log.name, errors="replace") as file:
            return file.read()

    def listening(self, port, seconds=60):
        def answers():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.child.args[0]} ended:\n{self.text()[-2000:]}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(f"port {port}", answers, seconds)
        # Who answers may be another program that was there first. Then ours has ended, or is about to.
        time.sleep(0.2)
        expect(self.child.poll(), None, f"{self.child.args[0]}, which ended: {self.text()[-2000:]}")

    def stop(self):
        # Its session is its own, so the group holds what it started and nothing else.
        for what in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, what)
                self.child.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.log.close()


class Server:
    """An HTTP server in this process."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                status, headers, body = answer(self.command, self.path, dict(self.headers), self.rfile.read(length))
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except ConnectionError:
                    # The caller was killed while it waited.
                    self.close_connection = True

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Issuer(Server):
    """Signs tokens, publishes the key as OpenID Connect issuers do, and signs people in to the console, its one client."""

    CLIENT = {"client_id": "console-client", "client_secret": "a secret: with/odd+letters"}

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        # What was asked for with each code that was not exchanged yet.
        self.codes = {}
        super().__init__(self.published)

    def published(self, method, path, headers, body):
        path, _, query = path.partition("?")
        if path == "/authorize":
            return self.agreed(dict(urllib.parse.parse_qsl(query)))
        if path == "/token":
            return self.exchanged(headers, dict(urllib.parse.parse_qsl(body.decode())))
        if path == "/.well-known/openid-configuration":
            places = ("authorization_endpoint", "/authorize"), ("token_endpoint", "/token"), ("jwks_uri", "/keys"), ("end_session_endpoint", "/sign-out")
            body = {"issuer": self.url, **{name: self.url + place for name, place in places}}
        else:
            numbers = self.key.public_key().public_numbers()
            number = lambda value: encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))
            body = {"keys": [{"kid": "1", "kty": "RSA", "alg": "RS256", "n": number(numbers.n), "e": number(numbers.e)}]}
        return 200, {"content-type": "application/json"}, json.dumps(body).encode()

    def agreed(self, asked):
        """Somebody signs in here at once, and is sent back with a code."""
        expect((asked["client_id"], asked["response_type"], asked["code_challenge_method"]), (self.CLIENT["client_id"], "code", "S256"), "the way to the issuer")
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = urllib.parse.urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return 302, {"location": f"{asked['redirect_uri']}?{back}"}, b""

    def exchanged(self, headers, form):
        quoted = [urllib.parse.quote_plus(self.CLIENT[part]) for part in ("client_id", "client_secret")]
        basic = "Basic " + base64.b64encode(":".join(quoted).encode()).decode()
        # A code is good once, for who can say what its challenge was made of.
        asked = self.codes.pop(form.get("code"), None)
        given = {name.lower(): value for name, value in headers.items()}.get("authorization")
        challenge = encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if given != basic or not asked or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, form.get("redirect_uri")):
            return 400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}'
        token = self.signed(self.CLIENT["client_id"], sub="ada@example.com", company_id="msp-acme", role="workspace-manager", nonce=asked["nonce"])
        answer = {"token_type": "Bearer", "access_token": "opaque", "id_token": token}
        return 200, {"content-type": "application/json"}, json.dumps(answer).encode()

    def token(self, company, audience, scope):
        # The role may do everything here but what concerns people, which takes a scope.
        return self.signed(audience, sub="user-1", company_id=company, role="devops-engineer", **({"scope": scope} if scope else {}))

    def signed(self, audience, **claims):
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "iat": now - 5, "exp": now + 3600, **claims}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims))
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Gate(Server):
    """Passes requests on to the simulator, holds those that it is told to hold, and counts them all."""

    def __init__(self, origin):
        self.origin = origin
        self.pattern = None
        self.held = threading.Event()
        self.open = threading.Event()
        self.requests = []
        super().__init__(self.pass_on)

    def hold(self, pattern):
        """From now on the first request whose path matches waits until `release`."""
        self.held.clear()
        self.open.clear()
        self.pattern = re.compile(pattern)

    def release(self):
        self.pattern = None
        self.open.set()

    def pass_on(self, method, path, headers, body):
        self.requests.append(f"{method} {path}")
        if self.pattern and self.pattern.search(path):
            self.held.set()
            self.open.wait(120)
        drop = {"host", "content-length", "connection", "transfer-encoding"}
        headers = {name: value for name, value in headers.items() if name.lower() not in drop}
        request = urllib.request.Request(self.origin + path, data=body or None, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, found, content = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, found, content = error.code, error.headers, error.read()
        return status, {name: value for name, value in found.items() if name.lower() not in drop}, content
