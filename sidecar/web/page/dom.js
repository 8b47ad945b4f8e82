// Elements without markup in strings: nothing that a stream is called can become script.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An element: `h("p", {class: "a"}, "text", other)`; `on…` attributes are listeners. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets an element's text, if it says something else. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, if it is another one; null takes it off. */
export function mark(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

export const byId = (id) => document.getElementById(id);

/** A message that goes away by itself; errors stay longer. */
export function toast(text, kind = "done") {
  const node = h("p", { class: `toast ${kind}` }, kind === "error" ? "✕ " : "✓ ", text);
  byId("toasts").append(node);
  setTimeout(() => node.remove(), kind === "error" ? 12000 : 5000);
}

/**
 * Asks in a dialog. `build(close)` gives its content; resolves to what `close` is given,
 * null if it was dismissed.
 */
export function ask(title, build) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" });
    const close = (value) => {
      if (!dialog.isConnected) return;
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    dialog.append(h("h2", { id: "dialog-title" }, title), ...[build(close)].flat());
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
