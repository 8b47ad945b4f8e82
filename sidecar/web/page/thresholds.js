// Thresholds: what others would have done, try them in the shadow, apply, undo.

import { get, post, put, remove } from "./api.js";
import { ask, h, say, toast } from "./dom.js";
import { setKeys } from "./keys.js";
import { follow, live } from "./live.js";
import { actionWord, clock, share, span } from "./words.js";

const NUMBERS = [
  ["enter", "Acts from score", { type: "range", min: 0.01, max: 1, step: 0.01 }],
  ["exit", "Ends below score", { type: "range", min: 0.01, max: 1, step: 0.01 }],
  ["hits", "Samples needed", { type: "number", min: 1, max: 1000, step: 1 }],
  ["of", "among the last", { type: "number", min: 1, max: 1000, step: 1 }],
  ["within_s", "within seconds", { type: "number", min: 0.1, max: 86400, step: "any" }],
  ["cooldown_s", "Again after seconds", { type: "number", min: 0, max: 86400, step: "any" }],
];
const WAIT_MS = 120;
const same = (a, b) => Math.abs(a - b) < 1e-9;

export function thresholdsView(main, session) {
  let current = null;
  let seenPolicies = live.head?.policies;
  let values = new Map(); // "policy/rule/key" -> number
  let timer = null;
  let asked = 0;
  const version = h("p", { class: "facts" });
  const note = h("p", { class: "note", hidden: true });
  const forms = h("div", { class: "policies" });
  const result = h("div", { class: "panel whatif", "aria-live": "polite" });
  const shadowBox = h("div", { class: "panel", hidden: true });
  const buttons = h("div", { class: "buttons" });
  main.append(h("div", { class: "bar" }, h("h1", {}, "Thresholds")), version, note, buttons, h("div", { class: "columns wide" }, forms, h("div", {}, result, shadowBox)));

  const mayChange = () => session.me?.role === "operator" && session.me.proven && current?.writable;

  function changes() {
    const found = [];
    for (const policy of current?.policies ?? []) {
      for (const rule of policy.rules) {
        for (const [key] of NUMBERS) {
          const value = values.get(`${policy.name}/${rule.name}/${key}`);
          if (value !== undefined && !same(value, rule[key])) found.push({ policy: policy.name, rule: rule.name, key, value });
        }
      }
    }
    return found;
  }

  function why() {
    if (!current) return null;
    if (session.me?.role !== "operator") return "An observer's token may look and try on the past; an operator's is needed for the rest.";
    if (!current.writable) return `Cannot be changed here: ${current.why_not}`;
    if (!session.me.proven) return "Applying needs an operator's token: set control.token in the configuration and log in.";
    return null;
  }

  function drawButtons() {
    const some = changes().length > 0;
    const operator = session.me?.role === "operator";
    const button = (text, enabled, act, kind) => h("button", { type: "button", class: kind, disabled: !enabled, onclick: act }, text);
    const focused = document.activeElement?.textContent;
    buttons.replaceChildren(
      button("Try as shadow", operator && some, tryShadow),
      button("Apply…", mayChange() && some, apply, "primary"),
      button("Undo the last version…", mayChange() && (current.version?.number ?? 0) > 1, undo),
      button("Start over", some, reset),
    );
    [...buttons.children].find((b) => b.textContent === focused && !b.disabled)?.focus();
    const text = why();
    note.hidden = !text;
    say(note, text ?? "");
  }

  function input(policy, rule, [key, text, attributes]) {
    const name = `${policy.name}/${rule.name}/${key}`;
    const value = values.get(name) ?? rule[key];
    const field = h("input", { ...attributes, id: name, value: String(value) });
    const shown = h("output", { for: name });
    const label = h("label", { for: name }, text);
    const mark = () => {
      const changed = !same(Number(field.value), rule[key]);
      field.classList.toggle("changed", changed);
      say(shown, attributes.type === "range" ? `${Number(field.value).toFixed(2)}${changed ? ` (was ${share(rule[key])})` : ""}` : changed ? `was ${rule[key]}` : "");
    };
    field.addEventListener("input", () => {
      if (field.value === "" || !field.validity.valid) return;
      values.set(name, Number(field.value));
      mark();
      drawButtons();
      soon();
    });
    mark();
    return h("div", { class: `number ${key}` }, label, field, shown);
  }

  function drawForms() {
    forms.replaceChildren(
      ...current.policies.map((policy) =>
        h(
          "section",
          { class: "panel" },
          h("h2", {}, `Policy ${policy.name}`),
          h("p", { class: "sub" }, `For ${policy.ids.join(", ")}${Object.entries(policy.labels).map(([k, v]) => `, ${k}=${v}`).join("")}${policy.dry_run ? " · dry run: it only tells what it would do" : ""}`),
          policy.rules.map((rule) =>
            h("fieldset", {}, h("legend", {}, `${rule.name}: ${actionWord(rule.action).toLowerCase()} on ${rule.category}`), NUMBERS.map((number) => input(policy, rule, number))),
          ),
        ),
      ),
    );
  }

  function drawVersion() {
    const v = current.version;
    say(version, v ? `Version ${v.number}, by ${v.author} at ${clock(Date.parse(v.at) / 1000)}: ${v.reason}` : "The policies as configured.");
    const shadow = current.shadow;
    shadowBox.hidden = !shadow;
    if (!shadow) return;
    shadowBox.replaceChildren(
      h("h2", {}, "In the shadow"),
      h("p", {}, `${shadow.map((p) => p.name).join(", ")}: would have acted `, h("strong", { id: "shadow-count" }, String(live.head?.shadow?.actions ?? 0)), " times since it was set. Nothing of it is sent. The streams it would have acted on say so in the list."),
      h("ul", { class: "sub" }, shadow.flatMap((p) => p.rules.map((r) => h("li", {}, `${p.name}/${r.name}: from ${share(r.enter)}, ${r.hits} of ${r.of} within ${span(r.within_s)}`)))),
      session.me?.role === "operator" ? h("p", { class: "buttons" }, h("button", { type: "button", onclick: endShadow }, "End the trial")) : "",
    );
  }

  function listed(title, glyph, kind, items, total) {
    if (!total) return h("p", { class: "sub" }, `${glyph} ${title}: none`);
    const groups = new Map();
    for (const one of items) groups.set(one.stream, [...(groups.get(one.stream) ?? []), one]);
    return h(
      "details",
      { open: true, class: kind },
      h("summary", {}, `${glyph} ${title}: ${total}`),
      h(
        "ul",
        {},
        [...groups].slice(0, 60).map(([stream, ones]) =>
          h("li", {}, h("a", { href: `#/streams/${encodeURIComponent(stream)}` }, stream), `: ${ones.length === 1 ? "" : `${ones.length}×, last `}${actionWord(ones[0].action).toLowerCase()} at ${clock(ones[0].at ?? ones[0].new_at)}${ones[0].score === undefined || ones[0].score === null ? "" : `, score ${share(ones[0].score)}`}`),
        ),
      ),
    );
  }

  function drawResult(found, some) {
    const cuts = (items) => items.filter((one) => ["takedown", "interrupt"].includes(one.action));
    const past = found.samples ? `${found.samples.toLocaleString("en")} samples of ${found.streams} streams since ${clock(found.since)}` : "no sample yet";
    result.replaceChildren(
      h("h2", {}, "What would have happened"),
      h("p", { class: "sub" }, `On ${past}; answered in ${Math.round(found.took_ms)} ms.`),
      some
        ? h("p", { class: "sum" }, h("strong", {}, `+${cuts(found.added).length}`), " and ", h("strong", {}, `−${cuts(found.removed).length}`), " takedowns and interrupts")
        : h("p", {}, "Move a slider: the actions it would have added and removed appear here."),
      listed("Added", "+", "added", found.added, found.added_total),
      listed("Removed", "−", "removed", found.removed, found.removed_total),
      listed("At another time", "↔", "moved", found.moved, found.moved_total),
      h("p", { class: "sub" }, `${found.same} as they were.`),
    );
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(whatIf, WAIT_MS);
  }

  async function whatIf() {
    const mine = (asked += 1);
    const wanted = changes();
    try {
      const found = await post("/api/policies/whatif", { changes: wanted });
      if (mine === asked) drawResult(found, wanted.length > 0);
    } catch (error) {
      if (mine === asked) result.replaceChildren(h("h2", {}, "What would have happened"), h("p", { class: "fault" }, error.message));
    }
  }

  async function load(keep) {
    try {
      current = await get("/api/policies/current");
    } catch (error) {
      version.textContent = error.message;
      return;
    }
    if (!keep) values = new Map();
    drawVersion();
    drawForms();
    drawButtons();
    whatIf();
  }

  function reset() {
    values = new Map();
    drawForms();
    drawButtons();
    whatIf();
  }

  async function done(work, text) {
    try {
      await work();
      toast(text);
      return true;
    } catch (error) {
      toast(error.message, "error");
      return error;
    }
  }

  async function tryShadow() {
    const wanted = changes();
    if (await done(() => put("/api/shadow", { changes: wanted }), "Tried as shadow from now on; nothing of it is sent.")) await load(true);
  }

  async function endShadow() {
    if (await done(() => remove("/api/shadow"), "The trial is over.")) await load(true);
  }

  function confirm(title, preview, verb) {
    return ask(title, (close) => {
      const reason = h("textarea", { id: "reason", minlength: 3, maxlength: 500, rows: 2, required: true });
      const read = h("input", { type: "checkbox", id: "read", required: true });
      return h(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            close(reason.value.trim());
          },
        },
        h("p", {}, "This will change, at once and for every stream that is meant:"),
        h("ul", { class: "words" }, preview.words.map((w) => h("li", {}, w))),
        h("label", { for: "reason" }, "Why (kept with the version)"),
        reason,
        h("p", {}, read, " ", h("label", { for: "read", class: "inline" }, "I have read what will change.")),
        h("p", { class: "buttons" }, h("button", { class: "primary" }, verb), h("button", { type: "button", onclick: () => close(null) }, "Cancel")),
      );
    });
  }

  async function change(title, verb, ask, send, text) {
    let preview;
    try {
      preview = await ask();
    } catch (error) {
      return toast(error.message, "error");
    }
    const reason = await confirm(title, preview, verb);
    if (!reason) return null;
    const result = await done(() => send({ reason, confirmed: preview.words }, { "If-Match": preview.etag }), text);
    if (result === true) return load(false);
    return load(true);
  }

  const apply = () => {
    const wanted = changes();
    return change("Apply these changes?", "Apply", () => post("/api/policies/preview", { changes: wanted }), (body, headers) => post("/api/policies/apply", { ...body, changes: wanted }, headers), "Applied. It is in force now.");
  };
  const undo = () => change("Undo the last version?", "Undo it", () => get("/api/policies/undo"), (body, headers) => post("/api/policies/undo", body, headers), "Undone. What held before is in force again.");

  setKeys([
    ["s", "Try as shadow", () => changes().length && session.me?.role === "operator" && tryShadow()],
    ["a", "Apply", () => mayChange() && changes().length && apply()],
    ["z", "Undo the last version", () => mayChange() && (current.version?.number ?? 0) > 1 && undo()],
    ["Backspace", "Start over", reset],
  ]);
  load(false);
  return follow(() => {
    const count = document.getElementById("shadow-count");
    if (count) say(count, String(live.head?.shadow?.actions ?? 0));
    if (live.head && live.head.policies !== seenPolicies) {
      if (seenPolicies !== undefined && !document.querySelector("dialog[open]")) {
        load(true).then(() => {
          note.hidden = false;
          say(note, "The policies in force have changed; your sliders are kept, and compared with what holds now.");
        });
      }
      seenPolicies = live.head.policies;
    }
  });
}
