// The feed of actions, newest first: how far each got, and what people said of it.

import { mayAct, outcomeButtons, reverse } from "./acts.js";
import { h, mark, say } from "./dom.js";
import { setKeys } from "./keys.js";
import { follow, live } from "./live.js";
import { actionWord, because, clock, deliveryBadge } from "./words.js";

const FILTERS = {
  cuts: ["Takedowns", (a) => ["takedown", "interrupt", "reverse_takedown"].includes(a.action)],
  all: ["All actions", () => true],
  open: ["Not enforced yet", (a) => !["enforced", "expired"].includes(a.delivery) && !a.dry_run],
  trouble: ["Trouble", (a) => ["refused", "failed", "expired"].includes(a.delivery)],
  unreviewed: ["Not reviewed", (a) => !a.outcome && a.action !== "reverse_takedown"],
};
const SHOWN = 200;
const state = { filter: "cuts", search: "" };

function item(action, session) {
  const down = ["takedown", "interrupt"].includes(action.action);
  return h(
    "li",
    { class: `feed ${action.action}` },
    h("div", { class: "feed-head" }, h("strong", {}, actionWord(action.action)), action.dry_run ? h("span", { class: "tag" }, "dry run: nobody was to act") : null, h("a", { href: `#/streams/${encodeURIComponent(action.stream)}` }, action.stream), h("time", {}, clock(action.decided_at)), deliveryBadge(action)),
    h("p", {}, because(action)),
    h(
      "p",
      { class: "buttons" },
      down ? h("button", { type: "button", class: "small", disabled: !mayAct(session), title: mayAct(session) ? null : "An operator's token is needed", onclick: () => reverse(action.stream) }, "Reverse") : null,
      outcomeButtons(action, session),
      action.outcome ? h("span", { class: "sub" }, `${action.outcome === "confirm" ? "Confirmed" : "Cleared"} by ${action.outcome_by}`) : null,
    ),
  );
}

export function actionsView(main, session) {
  const drawn = new Map();
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filter" });
  const search = h("input", { type: "search", placeholder: "Stream, rule, category", "aria-label": "Search actions", value: state.search });
  const list = h("ol", { class: "feeds" });
  const empty = h("p", { class: "empty" });
  main.append(h("div", { class: "bar" }, h("h1", {}, "Actions")), h("div", { class: "bar tools" }, search, chips), list, empty);

  function draw() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...live.actions.values()]
      .filter(FILTERS[state.filter][1])
      .filter((a) => words.every((w) => [a.stream, a.rule, a.policy, a.category ?? "", a.action].some((t) => t.toLowerCase().includes(w))))
      .sort((a, b) => b.decided_at - a.decided_at)
      .slice(0, SHOWN);
    const keep = new Set(found.map((a) => a.key));
    for (const [key, known] of drawn) {
      if (keep.has(key)) continue;
      known.node.remove();
      drawn.delete(key);
    }
    found.forEach((action, i) => {
      const said = `${action.id}/${action.delivery}/${action.outcome}/${action.outcome_by}`;
      let known = drawn.get(action.key);
      if (!known || known.said !== said) {
        const node = item(action, session);
        const focused = known?.node.contains(document.activeElement);
        known?.node.replaceWith(node);
        if (focused) node.querySelector("button:not(:disabled)")?.focus();
        known = { node, said };
        drawn.set(action.key, known);
      }
      if (list.children[i] !== known.node) list.insertBefore(known.node, list.children[i] ?? null);
    });
    for (const [key, [text, test]] of Object.entries(FILTERS)) {
      const chip = chips.querySelector(`[data-filter=${key}]`) ?? chips.appendChild(h("button", { type: "button", "data-filter": key, onclick: () => choose(key) }));
      say(chip, `${text} ${[...live.actions.values()].filter(test).length}`);
      mark(chip, "aria-pressed", String(key === state.filter));
    }
    const nothing = live.actions.size ? "No action is like that. Choose another filter." : "No action since the sidecar was started. Those of before are in the recordings and on the bus.";
    say(empty, found.length ? "" : nothing);
    mark(empty, "hidden", found.length ? "" : null);
  }

  function choose(key) {
    state.filter = key;
    draw();
  }

  search.addEventListener("input", () => {
    state.search = search.value;
    draw();
  });
  const names = Object.keys(FILTERS);
  setKeys([
    ["/", "Search", () => search.focus()],
    ["f", "Next filter", () => choose(names[(names.indexOf(state.filter) + 1) % names.length])],
  ]);
  draw();
  return follow(draw);
}
