// SPDX-License-Identifier: GPL-2.0-only
// Theme, filters, sorting and keys of the site. Nothing here is needed to read a page.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = { get() { try { return localStorage.getItem("theme"); } catch { return null; } },
                 set(value) { try { localStorage.setItem("theme", value); } catch { /* a browser that keeps nothing */ } } };
  const themes = ["system", "light", "dark"];
  let theme = themes.includes(kept.get()) ? kept.get() : "system";
  const show = () => { if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme; };
  show();

  const make = (tag, words, more) => Object.assign(document.createElement(tag), { textContent: words }, more);
  const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");

  function themeButton(place) {
    const button = make("button", `theme: ${theme}`, { type: "button", className: "tool", title: "light, dark, or as the system has it (t)" });
    button.id = "theme";
    button.onclick = () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      kept.set(theme);
      show();
      button.textContent = `theme: ${theme}`;
    };
    place.append(button);
  }

  const keys = [["/", "filter"], ["j k", "next, previous row"], ["Enter", "open the row"], ["n p", "next, previous problem"],
                ["h", "overview"], ["t", "theme"], ["?", "these keys"], ["Esc", "leave"]];
  function keyHelp(place) {
    const dialog = make("dialog", "");
    dialog.append(make("h3", "Keys"));
    const list = make("dl", "", { className: "facts" });
    for (const [key, what] of keys) {
      const term = make("dt", "");
      term.append(make("kbd", key));
      list.append(term, make("dd", what));
    }
    dialog.append(list);
    document.body.append(dialog);
    const button = make("button", "keys ?", { type: "button", className: "tool keys", title: "keyboard" });
    button.onclick = () => dialog.showModal();
    place.append(button);
    return dialog;
  }

  // a table with the class "rows" gets a filter; its heads sort it
  function filterTable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 6) return;
    const problems = ".FAIL,.XPASS,.CRASH,.TIMEOUT,.LOST,.APPLY,.BUILD,.BOOT,.INFRA";
    let texts, isBad; // not before they are asked for: a page of many rows opens quickly
    const bar = make("div", "", { className: "filter" });
    const field = make("input", "", { type: "search", placeholder: "filter: words, all of them ( / )" });
    field.setAttribute("aria-label", "filter the rows");
    const only = make("input", "", { type: "checkbox" });
    const label = make("label", "");
    label.append(only, " only problems");
    const count = make("span", "", { className: "dim small" });
    count.setAttribute("role", "status");
    bar.append(field);
    if (table.querySelector(problems) && table.querySelector(".PASS, .SKIP")) bar.append(label);
    bar.append(count);
    (table.closest(".wide") ?? table).before(bar);
    const update = () => {
      texts ??= rows.map((row) => row.textContent.toLowerCase());
      isBad ??= rows.map((row) => row.querySelector(problems) !== null);
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let seen = 0;
      rows.forEach((row, n) => {
        const shown = (!only.checked || isBad[n]) && words.every((word) => texts[n].includes(word));
        row.hidden = !shown;
        seen += shown;
      });
      count.textContent = seen === rows.length ? "" : `${seen} of ${rows.length}`;
    };
    field.oninput = update;
    only.onchange = update;
  }

  function sortTable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = make("button", head.textContent, { type: "button", title: "sort" });
      head.replaceChildren(button);
      button.onclick = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column]?.dataset.k ?? row.cells[column]?.textContent ?? "";
        const order = new Intl.Collator("en", { numeric: true }).compare;
        const sorted = [...body.rows].sort((one, other) => {
          const [a, b] = [key(one), key(other)];
          const numbers = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
          return (numbers ? a - b : order(a, b)) * (down ? -1 : 1);
        });
        body.append(...sorted);
      };
    });
  }

  let at = -1;
  function move(step) {
    const rows = [...document.querySelectorAll("table.rows tbody tr")].filter((row) => !row.hidden);
    if (!rows.length) return;
    document.querySelector("tr.here")?.classList.remove("here");
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    rows[at].classList.add("here");
    const link = rows[at].querySelector("a");
    (link ?? rows[at]).focus({ preventScroll: true });
    rows[at].scrollIntoView({ block: "nearest" });
  }

  let problem = -1;
  function jump(step) {
    const found = [...document.querySelectorAll("pre.console mark, section.case")];
    if (!found.length) return;
    problem = (problem + step + found.length) % found.length;
    found[problem].tabIndex = -1;
    found[problem].focus({ preventScroll: true });
    found[problem].scrollIntoView({ block: "start" });
  }

  document.addEventListener("DOMContentLoaded", () => {
    const place = document.querySelector(".tools");
    if (!place) return;
    themeButton(place);
    const help = keyHelp(place);
    document.querySelectorAll("table.rows").forEach((table) => { filterTable(table); sortTable(table); });
    document.querySelectorAll(".wide, .plot, .drawing, pre").forEach((box) => {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && typing()) return document.activeElement.blur();
      if (typing() || help.open) return;
      const act = { "/": () => document.querySelector("input[type=search]")?.focus(), j: () => move(1), k: () => move(-1),
                    n: () => jump(1), p: () => jump(problem < 0 ? 0 : -1), t: () => document.getElementById("theme").click(),
                    h: () => document.querySelector("a.brand").click(), "?": () => help.showModal() }[event.key];
      if (act) { event.preventDefault(); act(); }
    });
  });
})();
