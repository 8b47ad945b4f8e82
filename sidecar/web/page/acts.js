// What a person can do about a stream or an action; shared by the views.

import { post, put, remove, streamPath } from "./api.js";
import { ask, h, toast } from "./dom.js";
import { actionWord } from "./words.js";

export const mayAct = (session) => session.me?.role === "operator";

async function tried(work, done) {
  try {
    const result = await work();
    toast(done);
    return result ?? true;
  } catch (error) {
    toast(error.message, "error");
    return null;
  }
}

export const report = (id) => tried(() => post(streamPath(id, "/report")), `${id} is looked at closely for a while.`);

export async function reverse(id) {
  const sure = await ask(`Reverse what was done to ${id}?`, (close) => [
    h("p", {}, "A reversal is published, so that the platform can restore the stream. What was seen so far counts no more: the rules begin anew."),
    h("p", { class: "buttons" }, h("button", { type: "button", class: "primary", onclick: () => close(true), autofocus: true }, "Reverse"), h("button", { type: "button", onclick: () => close(null) }, "Cancel")),
  ]);
  return sure && tried(() => post(streamPath(id, "/reverse")), `The reversal of ${id} is on its way.`);
}

export async function pause(id) {
  const asked = await ask(`Pause the automation of ${id}?`, (close) => {
    const minutes = h("input", { id: "minutes", type: "number", min: 1, max: 1440, value: "30", required: true });
    const reason = h("textarea", { id: "reason", minlength: 3, maxlength: 500, rows: 2, required: true });
    return h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          close({ minutes: Number(minutes.value), reason: reason.value.trim() });
        },
      },
      h("p", {}, "It is still looked at and judged, but every action is marked as a dry run, until the time is over. This is written to the audit log."),
      h("label", { for: "minutes" }, "Minutes"),
      minutes,
      h("label", { for: "reason" }, "Why"),
      reason,
      h("p", { class: "buttons" }, h("button", { class: "primary" }, "Pause"), h("button", { type: "button", onclick: () => close(null) }, "Cancel")),
    );
  });
  return asked && tried(() => put(streamPath(id, "/pause"), asked), `${id} is paused for ${asked.minutes} minutes.`);
}

/** A glimpse of the next picture, made unreadable on the server, for some seconds. */
export async function glimpse(id) {
  const reason = await ask(`See a blurred picture of ${id}?`, (close) => {
    const field = h("textarea", { id: "reason", minlength: 3, maxlength: 500, rows: 2, required: true });
    return h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          close(field.value.trim());
        },
      },
      h("p", {}, "The next picture, grey and 24 squares a side, for six seconds. It is not kept. That you looked, and why, is written to the audit log."),
      h("label", { for: "reason" }, "Why"),
      field,
      h("p", { class: "buttons" }, h("button", { class: "primary" }, "Look"), h("button", { type: "button", onclick: () => close(null) }, "Cancel")),
    );
  });
  if (!reason) return;
  let url;
  try {
    url = URL.createObjectURL(await post(streamPath(id, "/thumbnail"), { reason }));
  } catch (error) {
    toast(error.message, "error");
    return;
  }
  const image = h("img", { src: url, alt: "Blurred grey picture", class: "glimpse" });
  await ask("For six seconds", (close) => {
    setTimeout(() => close(null), 6000);
    return [image, h("p", { class: "buttons" }, h("button", { type: "button", onclick: () => close(null), autofocus: true }, "Close"))];
  });
  URL.revokeObjectURL(url);
}

export const resume = (id) => tried(() => remove(streamPath(id, "/pause")), `${id} acts by itself again.`);

export function review(action, outcome) {
  const what = actionWord(action.action).toLowerCase();
  const done = outcome === "confirm" ? `Noted: the ${what} was right.` : `Noted: the ${what} was not right. Reverse it if the stream is still down.`;
  return tried(() => put(`/api/actions/${encodeURIComponent(action.id)}/outcome`, { outcome }), done);
}

/** Confirm and clear, of which the one that was said is pressed. */
export function outcomeButtons(action, session) {
  if (action.action === "reverse_takedown" || !action.id) return [];
  const button = (outcome, text) =>
    h("button", { type: "button", class: "small", "aria-pressed": String(action.outcome === outcome), disabled: !mayAct(session), title: mayAct(session) ? null : "An operator's token is needed", onclick: () => review(action, outcome) }, text);
  return [button("confirm", "✓ It was right"), button("clear", "✕ It was not")];
}
