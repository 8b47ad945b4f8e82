// Who did what: the policies' versions, and the audit log.

import { get } from "./api.js";
import { h } from "./dom.js";
import { setKeys } from "./keys.js";
import { clock } from "./words.js";

const at = (text) => clock(Date.parse(text) / 1000);

function versionRow(v) {
  return h(
    "li",
    {},
    h("strong", {}, `Version ${v.number}`),
    ` · ${at(v.at)} · ${v.author} · ${v.reason}`,
    v.undoes ? h("span", { class: "tag" }, `takes back ${v.undoes}`) : null,
    v.words.length ? h("ul", {}, v.words.map((w) => h("li", {}, w))) : null,
  );
}

function entryRow(e) {
  const detail = Object.entries(e.detail)
    .map(([key, value]) => `${key}: ${Array.isArray(value) ? value.map((v) => (typeof v === "object" ? JSON.stringify(v) : v)).join(" ") : value}`)
    .join("; ");
  return h("tr", {}, h("td", { class: "number" }, String(e.seq)), h("td", {}, at(e.at)), h("td", {}, `${e.actor} (${e.role})`), h("td", {}, e.act), h("td", { class: "wrap" }, e.about), h("td", { class: "wrap" }, detail), h("td", {}, h("code", { title: e.hash }, e.hash.slice(0, 10))));
}

export function logView(main) {
  const versions = h("ol", { class: "versions", reversed: true });
  const body = h("tbody");
  const fault = h("p", { class: "empty", hidden: true });
  main.append(
    h("div", { class: "bar" }, h("h1", {}, "Log"), h("button", { type: "button", onclick: () => load() }, "Look again")),
    fault,
    h("section", { class: "panel" }, h("h2", {}, "Versions of the policies"), versions),
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "Audit log"),
      h("p", { class: "sub" }, "The last 500 entries. Each carries the hash of the one before it; ", h("code", {}, "sidecar audit verify FILE --head HASH"), " tells whether the file is as it was written."),
      h("div", { class: "scroller audit", tabindex: 0, role: "region", "aria-label": "Audit log, scrollable" }, h("table", {}, h("thead", {}, h("tr", {}, ["No.", "When", "Who", "What", "About", "Detail", "Hash"].map((t) => h("th", { scope: "col" }, t)))), body)),
    ),
  );

  async function load() {
    try {
      const [history, audit] = await Promise.all([get("/api/policies/history"), get("/api/audit")]);
      versions.replaceChildren(...(history.versions.length ? history.versions.map(versionRow) : [h("li", { class: "sub" }, "None: the policies stand in the configuration itself. Move them to a file of their own to change them here.")]));
      body.replaceChildren(...audit.entries.map(entryRow));
      fault.hidden = true;
    } catch (error) {
      fault.hidden = false;
      fault.textContent = error.message;
    }
  }

  setKeys([["r", "Look again", load]]);
  load();
}
