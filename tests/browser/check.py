#!/usr/bin/env python3
"""Looks at the console in Chromium, as the people do who use it: `check.py --command huntress-evidence --chromium chromium [--pictures docs/console]`.

Starts `serve --demo` on loopback, signs in, follows every link, and looks at each kind of page: no violation that axe finds, no message in the console, no
report of the content security policy, the same text with scripts off, all of it reachable and visible by keyboard, nothing cut at 320 pixels, printable.
Then the paths of four people, from their first visit to their goal.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

import people  # noqa: E402
from served import Served, Simulated  # noqa: E402

# The level that the console promises.
AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
# The first of each kind of page is looked at, and this many of one kind are opened.
SAME_KIND = 2
# Pages that were followed at most; beyond it a link makes links.
MOST_PAGES = 200
# Bytes of HTML, uncompressed.
LARGEST_CLIENT_PAGE = 60_000

SEEN = """() => {
  window.__reports = [];
  document.addEventListener('securitypolicyviolation', event => window.__reports.push(event.violatedDirective + ' ' + event.blockedURI));
}"""

# Each thing that takes the focus shows it, and none takes it away for good.
FOCUS = """() => {
  const active = document.activeElement;
  if (!active || active === document.body) return null;
  const style = getComputedStyle(active), box = active.getBoundingClientRect();
  return {
    what: active.outerHTML.slice(0, 120),
    shown: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none',
    on_screen: box.width > 0 && box.height > 0,
  };
}"""

FOCUSABLE = """() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter(one => !one.disabled && one.checkVisibility({checkVisibilityCSS: true}) && one.tabIndex >= 0)
  .filter(one => !(one.type === 'radio' && !one.checked && document.querySelector(`input[type=radio][name="${CSS.escape(one.name)}"]:checked`)))
  .length"""

# What a table or a code block scrolls inside its own frame is not cut.
CUT = """() => {
  const wide = document.documentElement.scrollWidth, seen = document.documentElement.clientWidth;
  if (wide <= seen) return [];
  return [`${wide} pixels of ${seen}`].concat([...document.querySelectorAll('body *')]
    .filter(one => one.getBoundingClientRect().right > seen + 1 && !one.closest('.scroll')).slice(0, 3).map(one => one.outerHTML.slice(0, 120)));
}"""

LARGEST_PAINT = """() => new Promise(done => {
  new PerformanceObserver(list => done(list.getEntries().at(-1).startTime)).observe({type: 'largest-contentful-paint', buffered: true});
  setTimeout(() => done(null), 3000);
})"""


class Failures(list):
    def expect(self, holds, page, what):
        if not holds:
            self.append(f"{page}: {what}")
            print(f"  WRONG {page}: {what}", flush=True)


def kind(path):
    """The kind of a page: its path without the names of clients, connections, products and runs, and the names of its parameters."""
    parts = urlsplit(path)
    names = [re.split(r"=", pair)[0] for pair in parts.query.split("&") if pair]
    segments = parts.path.split("/")
    for at, before in ((2, "clients"), (2, "integrations"), (2, "packs"), (2, "exceptions"), (2, "runs"), (2, "onboarding")):
        if len(segments) > at and segments[at - 1] == before:
            segments[at] = "*"
    if len(segments) > 4 and segments[3] in ("explain", "people"):
        segments[4] = "*"
    if len(segments) > 5 and segments[3] == "evidence":
        segments[4:6] = "*", "*"
    return "/".join(segments) + ("?" + "&".join(sorted(set(names))) if names else "")


class Looker:
    """One signed-in browser beside one without scripts, with the same cookies."""

    def __init__(self, browser, served, failures, pictures=None):
        self.browser, self.served, self.failures, self.pictures = browser, served, failures, pictures
        self.with_scripts = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        self.with_scripts.add_init_script(f"({SEEN})()")
        self.without = browser.new_context(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
        self.small = browser.new_context(viewport={"width": 1000, "height": 720}, device_scale_factor=0.7)
        self.messages = []
        self.page = self.with_scripts.new_page()
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.plain = self.without.new_page()
        # The first client that a link led to.
        self.client = None

    def sign_in(self, link):
        self.page.goto(link)
        self.without.add_cookies(self.with_scripts.cookies())

    def close(self):
        self.with_scripts.close()
        self.without.close()
        self.small.close()

    def open(self, path, status=200):
        """Opens a page and looks at what holds for all of them. The answer's bytes."""
        self.messages.clear()
        answer = self.page.goto(self.served.url + path)
        body = answer.body()
        self.failures.expect(answer.status == status, path, f"status {answer.status}, not {status}")
        # A refused page is written to the console by the browser itself.
        messages = [text for text in self.messages if not (status >= 400 and text.startswith("Failed to load resource"))]
        self.failures.expect(not messages, path, f"messages in the console: {messages}")
        reports = self.page.evaluate("() => window.__reports")
        self.failures.expect(not reports, path, f"reports of the content security policy: {reports}")
        # What hostile names leave behind if they are run.
        self.failures.expect(self.page.evaluate("() => window.ran === undefined"), path, "a name was run as script")
        policy = answer.headers.get("content-security-policy", "")
        self.failures.expect("unsafe" not in policy and "default-src 'none'" in policy, path, f"content security policy {policy!r}")
        text = self.page.inner_text("main") if self.page.query_selector("main") else self.page.inner_text("body")
        for word in (r"\bNone\b", r"\bnull\b", r"\bNaN\b", r"\bundefined\b", r"Some\("):
            self.failures.expect(not re.search(word, text), path, f"the text has {word}")
        return body, text

    def examine(self, path, status=200):
        body, text = self.open(path, status)
        name = kind(path)
        for violation in Axe().run(self.page, options=AXE).response["violations"]:
            nodes = [node["html"][:140] for node in violation["nodes"][:3]]
            self.failures.expect(False, path, f"axe: {violation['id']}: {violation['help']}: {nodes}")
        for scheme in ("dark",):
            self.page.emulate_media(color_scheme=scheme)
            for violation in Axe().run(self.page, options={"runOnly": ["color-contrast"]}).response["violations"]:
                self.failures.expect(False, path, f"axe, {scheme}: {[node['html'][:140] for node in violation['nodes'][:3]]}")
        self.page.emulate_media(color_scheme="light")
        self.scripts_off(path, text)
        self.keyboard(path)
        self.narrow(path)
        self.printed(path)
        if re.fullmatch(r"/clients/[^/?]+", path):
            self.failures.expect(len(body) < LARGEST_CLIENT_PAGE, path, f"{len(body)} bytes of HTML")
        if self.pictures and "?" not in name and status == 200:
            file = name.strip("/").replace("clients/*", "client").replace("integrations/*", "integration").replace("people/*", "person").replace("/*", "").replace("/", "-") or "clients"
            self.small.add_cookies(self.with_scripts.cookies())
            shown = self.small.new_page()
            shown.goto(self.served.url + path)
            shown.screenshot(path=self.pictures / f"{file}.png")
            shown.close()
        print(f"  {name}: {len(body)} bytes", flush=True)

    def scripts_off(self, path, text):
        self.plain.goto(self.served.url + path)
        plain = self.plain.inner_text("main") if self.plain.query_selector("main") else self.plain.inner_text("body")
        missing = set(words(text)) - set(words(plain))
        # Ages and instants may have moved on between the two.
        self.failures.expect(len(missing) <= 3, path, f"only with scripts there is {sorted(missing)[:12]}")

    def keyboard(self, path):
        wanted = self.page.evaluate(FOCUSABLE)
        reached = 0
        # From the first thing on, which a page may have passed over for the field that it puts the focus on.
        self.page.evaluate("() => { document.querySelector('a[href], button, input').focus(); window.scrollTo(0, 0); }")
        self.page.keyboard.press("Tab")
        self.page.keyboard.press("Shift+Tab")
        for turn in range(min(wanted, 150)):
            if turn:
                self.page.keyboard.press("Tab")
            found = self.page.evaluate(FOCUS)
            if found is None:
                break
            reached += 1
            self.failures.expect(found["shown"], path, f"the focus is not seen on {found['what']}")
            self.failures.expect(found["on_screen"], path, f"the focus is on something that is not there: {found['what']}")
        self.failures.expect(reached >= min(wanted, 150), path, f"{reached} of {wanted} things are reached by Tab")

    def narrow(self, path):
        self.page.set_viewport_size({"width": 320, "height": 640})
        cut = self.page.evaluate(CUT)
        self.failures.expect(not cut, path, f"cut at 320 pixels: {cut}")
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def printed(self, path):
        pdf = self.page.pdf(format="A4")
        self.failures.expect(len(pdf) > 1_000, path, "nothing is printed")

    def links(self):
        found = self.page.eval_on_selector_all("a[href]", "all => all.map(one => [one.getAttribute('href'), one.hasAttribute('download')])")
        here = urlsplit(self.page.url)._replace(fragment="").geturl()
        whole = [urlsplit(urljoin(here, href))._replace(fragment="") for href, download in found if not download]
        own = [it._replace(scheme="", netloc="").geturl() for it in whole if f"{it.scheme}://{it.netloc}" == self.served.url]
        return [path for path in own if not path.startswith(("/v1/", "/assets/"))]

    def follow_all(self, first):
        """Every page that a link leads to, breadth first; of each kind the first is examined, the next few are opened."""
        waiting, met, kinds = [(first, "")], {first}, {}
        while waiting and sum(kinds.values()) < MOST_PAGES:
            path, linked_from = waiting.pop(0)
            known = len(self.failures)
            seen = kinds.get(kind(path), 0)
            if seen > SAME_KIND:
                continue
            kinds[kind(path)] = seen + 1
            if self.client is None and re.fullmatch(r"/clients/[^/?]+", path):
                self.client = path
            response = self.with_scripts.request.head(self.served.url + path) if re.search(r"\.(csv|zip)|/bytes|^/packs/[^/]+/", path) else None
            if response is not None:
                self.failures.expect(response.status in (200, 405), path, f"status {response.status}")
                continue
            if seen == 0:
                self.examine(path)
            else:
                self.open(path)
            if len(self.failures) > known and linked_from:
                print(f"        linked from {linked_from}", flush=True)
            for link in self.links():
                if link not in met:
                    met.add(link)
                    waiting.append((link, path))
        return kinds

    def largest_paint(self, path):
        """Milliseconds until the largest thing is painted, the processor slowed to a quarter. Printed, not asserted."""
        page = self.with_scripts.new_page()
        session = self.with_scripts.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        page.goto(self.served.url + path)
        painted = page.evaluate(LARGEST_PAINT)
        page.close()
        return painted


def words(text):
    """Of the text what does not change by the minute."""
    return [word for word in re.findall(r"[A-Za-z][A-Za-z-]{3,}", text)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--command", required=True, help="the command huntress-evidence")
    arguments.add_argument("--chromium", required=True, help="the browser")
    arguments.add_argument("--simulator", help="the command huntress-simulator; by default the one beside the command")
    arguments.add_argument("--pictures", type=Path, help="a folder for a picture of each page")
    arguments = arguments.parse_args()
    failures = Failures()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        try:
            with Served(arguments.command, scratch, demo=True) as served:
                looker = Looker(browser, served, failures, arguments.pictures)
                looker.examine("/login")
                looker.sign_in(served.link())
                kinds = looker.follow_all("/")
                print(f"{sum(kinds.values())} pages of {len(kinds)} kinds", flush=True)
                for page in people.MUST_BE_LINKED:
                    failures.expect(page in kinds, page, "no link leads there")
                looker.examine("/no-such-page", 404)
                client = looker.client
                for path in ("/", client):
                    print(f"{kind(path)}: largest contentful paint {looker.largest_paint(path)} ms at a quarter of the processor")
                people.walk(browser, served, Looker, failures, arguments.pictures)
                looker.close()
            with tempfile.TemporaryDirectory() as empty, Served(arguments.command, empty, demo=False) as served:
                people.first_visit(browser, served, Looker, failures)
            simulator = arguments.simulator or str(Path(arguments.command).with_name("huntress-simulator"))
            account = ("--hostile-names", "--no-rate-limit", "--organizations", "9", "--agents", "30", "--incidents", "9", "--sat-learners", "16", "--sat-assignments", "5", "--sat-campaigns", "9")
            with tempfile.TemporaryDirectory() as empty, Simulated(simulator, *account) as huntress:
                with Served(arguments.command, empty, demo=False, huntress=huntress.url) as served:
                    people.operator(browser, served, Looker, failures)
        finally:
            browser.close()
    if failures:
        sys.exit(f"{len(failures)} things are wrong")
    print("the console is as it should be")


main()
