"""The paths of four people through the console, from their first visit to their goal; and what nobody may do."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

# Of the simulated account: no secrets.
CREDENTIALS = ("hk_simulator", "hs_simulator", "9c1e-simulator-client", "sat-simulator-secret-Vh3kQz")

# What the table of pages has, and a link must lead to.
MUST_BE_LINKED = [
    "/", "/clients/*", "/clients/*/over-time", "/clients/*/controls", "/clients/*/window", "/clients/*/findings", "/clients/*/what-if", "/clients/*/training",
    "/clients/*/evidence/*/*", "/clients/*/explain/*", "/integrations", "/integrations/*", "/integrations/*/people/*", "/runs", "/exceptions", "/audit-log", "/packs", "/settings",
]


def api(served, method, path, body=None, token=None):
    """A call of the API: the status and the answer."""
    request = urllib.request.Request(
        served.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token or served.token()}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text else None


def company_of(served):
    return api(served, "GET", "/v1/me")[1]["companies"][0]


def token(served, name, role, **more):
    """A token of a role, which the page of logging in takes."""
    status, made = api(served, "POST", f"/v1/companies/{company_of(served)}/tokens", {"name": name, "role": role, "expires_in_days": 1, **more})
    if status not in (200, 201):
        raise SystemExit(f"no token of the role {role}: {status} {made}")
    return made["token"]


def sign_in_by_token(looker, secret):
    looker.page.goto(looker.served.url + "/login")
    looker.page.get_by_label("Token").fill(secret)
    looker.page.get_by_role("button", name=re.compile("sign in", re.I)).click()
    looker.without.add_cookies(looker.with_scripts.cookies())


def walk(browser, served, Looker, failures, pictures=None):
    auditor(browser, served, Looker, failures)
    reviewer(browser, served, Looker, failures)
    engineer(browser, served, Looker, failures)
    employee(browser, served, Looker, failures, pictures)
    forgeries(browser, served, Looker, failures)


def auditor(browser, served, Looker, failures):
    """Window, evidence, packs, audit log of own clients, and nothing else."""
    company = company_of(served)
    clients = [row["client"] for row in api(served, "GET", f"/v1/companies/{company}/clients")[1]["items"]]
    own, foreign = clients[0], clients[-1]
    failures.expect(own != foreign, "auditor", "the demonstration has one client only")
    today = datetime.now(timezone.utc).date()
    window = {"from": (today - timedelta(days=30)).isoformat(), "to": today.isoformat()}
    looker = Looker(browser, served, failures)
    sign_in_by_token(looker, token(served, "auditor", "auditor", clients=[own], **window))
    kinds = looker.follow_all(f"/clients/{own}/window")
    print(f"auditor: {sorted(kinds)}")
    for page in ("/clients/*/window", "/clients/*/evidence/*/*", "/packs", "/audit-log"):
        failures.expect(page in kinds, "auditor", f"no link leads to {page}")
    for page in ("/integrations", "/runs"):
        failures.expect(page not in kinds, "auditor", f"a link leads to {page}")
        looker.open(page, 403)
    looker.open(f"/clients/{foreign}", 404)
    looker.open(f"/clients/{foreign}/window", 404)
    for path in ("/", "/packs", "/audit-log"):
        _, text = looker.open(path)
        failures.expect(foreign not in text, f"auditor {path}", f"another's client {foreign} is shown")
    # To a pack that is checked without the console, by links and forms alone.
    page = looker.page
    page.goto(served.url + "/")
    page.get_by_role("main").get_by_role("link", name=own, exact=True).click()
    page.get_by_role("navigation", name="Client").get_by_role("link", name="Window").click()
    page.get_by_role("link", name=re.compile("Make a pack of these days")).click()
    page.get_by_role("button", name="Make", exact=True).click()
    # The page follows its making by itself.
    download = page.get_by_role("link", name=re.compile("^Download")).first
    download.wait_for(timeout=60_000)
    with page.expect_download() as begun:
        download.click()
    pack = Path(served.folder, "pack.zip")
    begun.value.save_as(pack)
    key = re.search(r"--key '([^']+)'", page.inner_text("main")).group(1)
    checked = subprocess.run([served.command, "verify", str(pack), "--key", key], capture_output=True, text=True, timeout=60)
    failures.expect(checked.returncode == 0, "auditor", f"the pack does not verify: {checked.stdout[-600:]}{checked.stderr[-600:]}")
    looker.close()


def engineer(browser, served, Looker, failures):
    """From what fails to how it came about, down to the evidence, and to an exception that somebody else approves."""
    company = company_of(served)
    client = api(served, "GET", f"/v1/companies/{company}/clients")[1]["items"][0]["client"]
    looker, other = Looker(browser, served, failures), Looker(browser, served, failures)
    sign_in_by_token(looker, token(served, "devops", "devops-engineer"))
    sign_in_by_token(other, token(served, "approver", "workspace-manager"))
    page = looker.page
    # The worst client stands first.
    page.goto(served.url + "/")
    page.get_by_role("main").get_by_role("link", name=client, exact=True).click()
    accepted = page.inner_text("main").count("accepted until")
    page.get_by_role("navigation", name="Client").get_by_role("link", name="Controls").click()
    failing = page.locator("ul.rules > li:has(.state.fail) a").first
    failing.click()
    explained = urlsplit(page.url).path
    text = page.inner_text("main")
    for part in ("Formula", "What would change it", "The requests behind it"):
        failures.expect(part in text, explained, f"no {part}")
    page.get_by_role("link", name="The whole evidence of this run").click()
    failures.expect("SHA-256" in page.inner_text("main"), urlsplit(page.url).path, "no way leads from a number to its evidence")
    page.go_back()
    page.get_by_role("link", name="Propose an exception").click()
    reason = "The server is replaced by the end of the month; until then it is watched."
    page.get_by_label(re.compile("^Why is this accepted")).fill(reason)
    until = page.get_by_label(re.compile("^Until the end of"))
    until.fill((datetime.now(timezone.utc) + timedelta(days=900)).date().isoformat())
    page.get_by_role("button", name="Propose", exact=True).click()
    failures.expect("It was not proposed" in page.inner_text("main"), "/exceptions", "an exception of three years is proposed")
    failures.expect(page.get_by_label(re.compile("^Why is this accepted")).input_value() == reason, "/exceptions", "what was typed is lost")
    until.fill((datetime.now(timezone.utc) + timedelta(days=30)).date().isoformat())
    page.get_by_role("button", name="Propose", exact=True).click()
    card = page.locator("li.card", has_text=reason)
    failures.expect("proposed" in card.inner_text() and card.get_by_role("button").count() == 0, "/exceptions", "who proposes also decides")
    other.page.goto(served.url + "/")
    other.page.get_by_role("navigation", name="Main").get_by_role("link", name="Exceptions").click()
    other.page.locator("li.card", has_text=reason).get_by_role("button", name=re.compile("^Approve")).click()
    failures.expect("approved" in other.page.locator("li.card", has_text=reason).inner_text(), "/exceptions", "the exception is not approved")
    page.goto(f"{served.url}/clients/{client}")
    after = page.inner_text("main").count("accepted until")
    failures.expect(after == accepted + 1, f"/clients/{client}", f"what is accepted is not shown as accepted: {accepted} before, {after} now")
    looker.close()
    other.close()


def reviewer(browser, served, Looker, failures):
    """Reads, and finds no form that changes anything."""
    looker = Looker(browser, served, failures)
    sign_in_by_token(looker, token(served, "reviewer", "access-reviewer"))
    looker.follow_all("/")
    for path in ("/integrations", "/exceptions", "/settings"):
        looker.page.goto(served.url + path)
        forms = looker.page.eval_on_selector_all("main form[method=post]", "all => all.map(one => one.action)")
        allowed = [action for action in forms if re.search(r"/packs|/logout|/company", action)]
        failures.expect(forms == allowed, f"reviewer {path}", f"forms that change something: {forms}")
    looker.close()


def employee(browser, served, Looker, failures, pictures=None):
    """The engineer makes the link, and somebody without an account opens it: their own training, the way to it, and nothing else."""
    company = company_of(served)
    names = {company} | {row["client"] for row in api(served, "GET", f"/v1/companies/{company}/clients")[1]["items"]}
    engineer = Looker(browser, served, failures)
    sign_in_by_token(engineer, token(served, "engineer", "workspace-manager"))
    page = engineer.page
    # By links and forms alone, from where they begin to whom they look for. Not every client's training is followed.
    page.goto(served.url + "/")
    clients = page.eval_on_selector_all("main a[href^='/clients/']", "all => [...new Set(all.map(one => new URL(one.href).pathname.split('/')[2]))]")
    for client in clients:
        page.goto(f"{served.url}/clients/{client}")
        page.get_by_role("navigation", name="Client").get_by_role("link", name="Training").click()
        if page.get_by_label("Status").count():
            break
    page.get_by_label("Status").select_option(label="not compliant")
    page.get_by_role("button", name="Show", exact=True).click()
    page.locator("#people ~ .scroll tbody a").first.click()
    path = urlsplit(page.url).path
    person = path.rsplit("/", 1)[1]
    page.get_by_label(re.compile("It works for")).fill("0")
    page.get_by_role("button", name="Make a link for them").click()
    failures.expect("a link lasts 1 to" in page.inner_text("[role=alert]"), path, "a link of no days is not refused")
    failures.expect(page.get_by_label(re.compile("It works for")).input_value() == "0", path, "what was typed is lost")

    def new_link():
        page.get_by_label(re.compile("It works for")).fill("14")
        page.get_by_role("button", name="Make a link for them").click()
        return page.get_by_label("Their link").input_value()

    made = new_link()
    failures.expect(made.startswith(served.url + "/onboarding/"), path, f"the link is {made}")
    failures.expect(re.search(r"shown this once.*works until \d{4}-", page.inner_text("main"), re.S), path, "it is not said how often it is shown, and until when it works")
    page.get_by_role("link", name="take it back").click()
    failures.expect(urlsplit(page.url).fragment == "links", path, "no way leads to taking it back")
    page.goto(served.url + path)
    failures.expect(made not in page.content(), path, "the link is shown again")
    # Scripts or not, the form makes one.
    plain = engineer.plain
    plain.goto(served.url + path)
    plain.get_by_role("button", name="Make a link for them").click()
    without_scripts = plain.get_by_label("Their link").input_value()

    looker = Looker(browser, served, failures, pictures)
    link = made.removeprefix(served.url)
    looker.examine(link)
    _, text = looker.open(link)
    failures.expect("Not complete" in text and "Still to do" in text, "employee", f"the page shows {text!r}")
    shown = looker.page.content()
    failures.expect(not [name for name in names | {person} if re.search(rf"\b{re.escape(name)}\b", shown)], "employee", "the page names somebody")
    failures.expect(looker.page.locator("form, nav, input").count() == 0, "employee", "there is a form or a menu")
    to_training = looker.page.get_by_role("link", name="Go to your training").get_attribute("href")
    failures.expect(to_training.startswith("https://"), "employee", f"the way to the training is {to_training}")
    failures.expect(not looker.with_scripts.cookies(), "employee", "a cookie was set")
    # What leads to the content is a link to this page.
    failures.expect(set(looker.links()) == {link}, "employee", f"other links of ours: {looker.links()}")
    looker.open(without_scripts.removeprefix(served.url))
    looker.examine(link[:-1], 404)
    _, text = looker.open(link[:-1], 404)
    failures.expect("cut when it was copied" in text and "Ask whoever sent it" in text, "employee", f"a link that was cut says {text!r}")
    page.goto(served.url + path)
    page.get_by_role("button", name="Take back all their links").click()
    failures.expect("No link of theirs works now" in page.inner_text("main"), path, "links are not taken back")
    looker.examine(link, 410)
    _, text = looker.open(link, 410)
    failures.expect("has taken it back" in text and "Ask whoever sent it" in text, "employee", f"a link that was taken back says {text!r}")
    looker.open(without_scripts.removeprefix(served.url), 410)
    looker.close()
    engineer.close()


def forgeries(browser, served, Looker, failures):
    """What is refused, with a page that says what to do."""
    looker = Looker(browser, served, failures)
    request = looker.with_scripts.request
    signed_out = request.get(served.url + "/settings", max_redirects=0)
    failures.expect(signed_out.status in (303, 401), "/settings", f"signed out: status {signed_out.status}")
    sign_in_by_token(looker, served.token())
    for path in ("/exceptions", "/logout"):
        other = request.post(served.url + path, headers={"origin": "https://elsewhere.example"}, form={"form_token": "x"})
        failures.expect(other.status == 403, path, f"a form of another origin: status {other.status}")
        forged = request.post(served.url + path, headers={"origin": served.url}, form={"form_token": "forged"})
        failures.expect(forged.status == 403, path, f"a forged form: status {forged.status}")
    host = request.get(served.url + "/", headers={"host": "elsewhere.example"})
    failures.expect(host.status in (400, 403, 421), "/", f"a foreign host: status {host.status}")
    used = request.get(served.url + "/login/used-or-never-made")
    failures.expect(used.status in (401, 403, 410), "/login/…", f"a used link: status {used.status}")
    looker.page.goto(served.url + "/")
    looker.page.get_by_role("button", name="Sign out").click()
    after = request.get(served.url + "/settings", max_redirects=0)
    failures.expect(after.status in (303, 401), "/settings", f"after signing out: status {after.status}")
    looker.close()


def first_visit(browser, served, Looker, failures):
    """A compliance engineer without a connection is led to connecting one; every page without evidence says so."""
    looker = Looker(browser, served, failures)
    looker.sign_in(served.link())
    body, text = looker.open("/")
    failures.expect(re.search(r"connect", text, re.I), "/", "a first visit does not lead to connecting")
    kinds = looker.follow_all("/")
    failures.expect("/integrations" in kinds, "first visit", "no link leads to the integrations")
    print(f"first visit: {sorted(kinds)}")
    looker.close()


# What the simulator names things, as far as it is shown as text.
MARKUP = "<script>window.ran = 1</script>"


def wait_for_sync(looker, served, connection):
    """The page follows the run by itself, without being loaded again by hand."""
    looker.page.get_by_role("button", name="Sync now").click()
    looker.page.wait_for_selector("#latest:not([data-live]) .state", timeout=60_000)
    looker.page.wait_for_function("() => !document.querySelector('[data-live]')", timeout=60_000)
    return looker.page.inner_text("#latest")


def operator(browser, served, Looker, failures):
    """An operator of an MSP from the first visit to evidence of each client; every name at Huntress is hostile."""
    looker = Looker(browser, served, failures)
    looker.sign_in(served.link())
    page = looker.page
    page.goto(served.url + "/")
    page.get_by_role("link", name=re.compile("Connect Huntress")).click()
    # What was typed is kept when Huntress refuses the key, the secret is not.
    card = page.locator("section[aria-labelledby=huntress-edr]")
    card.get_by_label("API Key", exact=True).fill("hk_wrong")
    card.get_by_label("API Secret", exact=True).fill("s3cret-marker")
    card.get_by_label("Name of the connection").fill("endpoints")
    card.get_by_role("button", name=re.compile("Test and connect")).click()
    failures.expect("Nothing was connected" in page.inner_text("main"), "operator", "a wrong key is not refused")
    failures.expect(card.get_by_label("Name of the connection").input_value() == "endpoints", "operator", "what was typed is lost")
    failures.expect("s3cret-marker" not in page.content(), "operator", "a secret is shown again")
    key, secret, client_id, client_secret = CREDENTIALS
    card.get_by_label("API Key", exact=True).fill(key)
    card.get_by_label("API Secret", exact=True).fill(secret)
    card.get_by_role("button", name=re.compile("Test and connect")).click()
    failures.expect("Connected" in page.inner_text("main"), "operator", f"not connected: {page.inner_text('main')[:300]}")
    told = wait_for_sync(looker, served, "endpoints")
    failures.expect("succeeded" in told, "operator", f"the sync: {told}")
    # All of it was given to one client; it is divided on the page.
    page.goto(served.url + "/integrations/endpoints/mapping")
    rows = page.locator("#organizations tbody tr")
    failures.expect(rows.count() == 9, "operator", f"{rows.count()} organizations to divide")
    failures.expect(MARKUP in page.inner_text("#organizations"), "operator", "the names of organizations are not shown as text")
    for row in range(min(rows.count(), 3)):
        rows.nth(row).get_by_role("checkbox", name=re.compile("^Tick")).check()
    page.get_by_label("Client of the ticked ones").fill("globex")
    page.get_by_role("button", name="Give the ticked to this client").click()
    failures.expect("mapping counts" in page.inner_text("main"), "operator", f"not mapped: {page.inner_text('main')[:300]}")
    # Training, by pasting; then the assignments that count.
    page.goto(served.url + "/integrations")
    card = page.locator("section[aria-labelledby=huntress-sat]")
    card.get_by_label("Client ID", exact=True).fill(client_id)
    card.get_by_label("Client Secret", exact=True).fill(client_secret)
    card.get_by_label("Name of the connection").fill("training")
    card.get_by_label("Client", exact=True).fill("globex")
    card.get_by_role("button", name=re.compile("Test and connect")).click()
    failures.expect("Connected" in page.inner_text("main"), "operator", f"training is not connected: {page.inner_text('main')[:300]}")
    page.goto(served.url + "/integrations/training/assignments")
    failures.expect(MARKUP in page.inner_text("#assignments"), "operator", "the names of assignments are not shown as text")
    page.get_by_role("checkbox", name=re.compile("counts$")).first.check()
    page.get_by_role("button", name="Save the selection").click()
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_role("radio", name="With names, encrypted").check()
    page.get_by_role("button", name="Save what is kept").click()
    failures.expect("What is kept of people was changed" in page.inner_text("main"), "operator", f"names are not kept: {page.inner_text('main')[:300]}")
    told = wait_for_sync(looker, served, "training")
    failures.expect("succeeded" in told, "operator", f"the sync of training: {told}")
    page.goto(served.url + "/clients/globex/training")
    page.get_by_label("Why do you open these names?").fill("the yearly <b>review</b>")
    page.get_by_role("button", name=re.compile("Show the names")).click()
    failures.expect(MARKUP in page.inner_text("main"), "operator", "the names of people are not shown as text")
    failures.expect(page.evaluate("() => window.ran === undefined"), "operator", "a person's name was run as script")
    looker.plain.goto(served.url + "/audit-log")
    failures.expect(MARKUP not in looker.plain.inner_text("main"), "operator", "the audit log has a person's name")
    kinds = looker.follow_all("/")
    print(f"operator, hostile names: {sum(kinds.values())} pages of {len(kinds)} kinds")
    looker.close()
