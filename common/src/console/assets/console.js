"use strict";
// Comfort alone: every page works without it.
(() => {
  // A limit that is moved by hand is sent when it comes to rest.
  for (const input of document.querySelectorAll("input[data-send]")) {
    const output = document.querySelector(`output[for="${input.id}"]`);
    input.addEventListener("input", () => { if (output) output.textContent = input.value; });
    input.addEventListener("change", () => input.form.requestSubmit());
  }
  // Rows are found by what is typed.
  for (const input of document.querySelectorAll("input[data-filter]")) {
    const rows = [...document.querySelectorAll(`#${input.dataset.filter} tbody tr`)];
    const count = document.querySelector(`output[for="${input.id}"]`);
    input.closest("[hidden]")?.removeAttribute("hidden");
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
        if (!row.hidden) shown += 1;
      }
      if (count) count.textContent = `${shown} of ${rows.length}`;
    });
  }
  // All boxes of a table at once.
  for (const box of document.querySelectorAll("input[data-all]")) {
    box.closest("[hidden]")?.removeAttribute("hidden");
    box.addEventListener("change", () => {
      for (const other of document.querySelectorAll(`#${box.dataset.all} tbody tr:not([hidden]) input[name=pick]`)) other.checked = box.checked;
    });
  }
  // What is under way is read again until it has ended.
  const live = document.querySelector("[data-live]");
  if (live) {
    const seconds = Number(live.dataset.live) || 2;
    const again = async () => {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
          const next = fresh.getElementById(live.id);
          const here = document.getElementById(live.id);
          if (next && here && next.innerHTML !== here.innerHTML) here.replaceChildren(...next.childNodes);
          if (!next || !next.hasAttribute("data-live")) { location.reload(); return; }
        }
      } catch { /* The next look may succeed. */ }
      setTimeout(again, seconds * 1000);
    };
    setTimeout(again, seconds * 1000);
  }
  // What is printed has its numbers in it.
  addEventListener("beforeprint", () => { for (const it of document.querySelectorAll("details")) { if (!it.open) { it.open = true; it.dataset.closed = ""; } } });
  addEventListener("afterprint", () => { for (const it of document.querySelectorAll("details[data-closed]")) { it.open = false; delete it.dataset.closed; } });
})();
