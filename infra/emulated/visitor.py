"""Somebody's browser, as far as the deployed console sees one: it keeps cookies, follows no redirect by itself, and reaches the public address over the emulator."""

import html
import http.client
import re
import urllib.parse

from servers import expect


class Page:
    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.bytes = answer.read()
        self.text = self.bytes.decode(errors="replace")
        self.location = answer.headers.get("location", "")

    def links(self, pattern):
        found = [html.unescape(it) for it in re.findall(r'href="([^"]*)"', self.text)]
        return [it for it in found if re.fullmatch(pattern, it)]

    def field(self, name):
        return re.search(rf'name="{name}" value="([^"]*)"', self.text).group(1)


class Visitor:
    def __init__(self, origin, port, cookies=None):
        # The address is one over TLS, and the emulator has none.
        self.origin, self.port = origin, port
        self.cookies = dict(cookies or {})

    def ask(self, method, path, form=None):
        headers = {"host": urllib.parse.urlsplit(self.origin).netloc}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            headers |= {"origin": self.origin, "content-type": "application/x-www-form-urlencoded"}
            body = urllib.parse.urlencode(form)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path.removeprefix(self.origin), body, headers)
            answer = connection.getresponse()
            page = Page(answer)
        finally:
            connection.close()
        for cookie in page.headers.get_all("set-cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            parts = {part.strip().lower() for part in cookie.split(";")[1:]}
            # A browser refuses a cookie of this prefix without them.
            expect((name.startswith("__Host-"), {"secure", "httponly", "path=/", "samesite=lax"} <= parts), (True, True), f"the cookie {name}: {sorted(parts)}")
            if "max-age=0" in parts:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return page

    def get(self, path, status=200):
        page = self.ask("GET", path)
        expect(page.status, status, f"GET {path}: {page.text[:600]}")
        return page

    def post(self, path, form, status=303):
        page = self.ask("POST", path, form)
        expect(page.status, status, f"POST {path}: {page.text[:600]}")
        return page
