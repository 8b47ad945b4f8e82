// Keys: one table for all views, shown by `?`.

import { ask, h } from "./dom.js";

const common = [
  ["g s", "Streams", () => (location.hash = "#/streams")],
  ["g a", "Actions", () => (location.hash = "#/actions")],
  ["g t", "Thresholds", () => (location.hash = "#/thresholds")],
  ["g l", "Log: audit and policy history", () => (location.hash = "#/log")],
  ["?", "These keys", () => showKeys()],
];
let own = [];
let pending = "";
let timer = null;

/** The keys of the present view: `[key, what it does, function]`. */
export function setKeys(keys) {
  own = keys;
}

export function addCommonKey(key, text, act) {
  common.push([key, text, act]);
}

export function showKeys() {
  const rows = (keys) =>
    keys.map(([key, text]) =>
      h("tr", {}, h("th", { scope: "row" }, key.split(" ").flatMap((k, i) => (i ? [" then ", h("kbd", {}, k)] : [h("kbd", {}, k)]))), h("td", {}, text)),
    );
  return ask("Keys", (close) => [
    own.length ? h("h3", {}, "Here") : null,
    own.length ? h("table", { class: "keys" }, h("tbody", {}, rows(own))) : null,
    h("h3", {}, "Everywhere"),
    h("table", { class: "keys" }, h("tbody", {}, rows(common), rows([["Esc", "Close a dialog, leave a field", null]]))),
    h("p", { class: "buttons" }, h("button", { type: "button", onclick: () => close(null), autofocus: true }, "Close")),
  ].filter(Boolean));
}

function isTyping(target) {
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) || (target.tagName === "INPUT" && !["range", "checkbox", "button"].includes(target.type));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const keys = [...own, ...common];
  const typed = pending ? `${pending} ${event.key}` : event.key;
  const found = keys.find(([key]) => key === typed) ?? keys.find(([key]) => key === event.key);
  pending = "";
  clearTimeout(timer);
  if (found?.[2]) {
    event.preventDefault();
    found[2]();
  } else if (keys.some(([key]) => key.startsWith(`${event.key} `))) {
    pending = event.key;
    timer = setTimeout(() => (pending = ""), 1500);
  }
});
