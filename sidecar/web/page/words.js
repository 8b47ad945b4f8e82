// Every word of the page that stands for a value. Neutral: a score is a priority for review.

import { h } from "./dom.js";
import { now } from "./live.js";

const VERDICTS = {
  violating: ["▲", "Violating"],
  unknown: ["?", "Unknown"],
  clear: ["●", "Clear"],
};

const REASONS = {
  starting: "not looked at yet",
  no_frames: "no pictures come",
  undecodable_codec: "a codec that cannot be decoded",
  end_to_end_encrypted: "end-to-end encrypted",
  engine_error: "the model failed",
  overloaded: "too many streams for this host",
  stale: "the last look is too old",
  unreachable: "cannot be reached",
  worker_lost: "its worker process was lost",
};

const ACTIONS = {
  flag: "Flag for review",
  blur: "Blur",
  interrupt: "Interrupt",
  takedown: "Takedown",
  reverse_takedown: "Reversal",
  escalate: "Escalate",
};

const DELIVERIES = {
  owed: ["…", "being written to disk"],
  waiting: ["…", "waiting for the broker"],
  refused: ["✕", "refused by the broker, tried again"],
  delivered: ["→", "delivered to the broker"],
  received: ["→", "received by an enforcer"],
  enforced: ["✓", "enforced"],
  failed: ["✕", "an enforcer failed"],
  expired: ["✕", "expired: nobody took it in time"],
};

export const actionWord = (action) => ACTIONS[action] ?? action;
export const reasonWord = (reason) => REASONS[reason] ?? reason;

/** A verdict by shape, word and colour. */
export function verdictBadge(verdict, reason = null) {
  const [glyph, word] = VERDICTS[verdict] ?? ["?", verdict];
  return h(
    "span",
    { class: `verdict ${verdict}` },
    h("span", { class: "glyph", "aria-hidden": "true" }, glyph),
    word,
    reason ? h("span", { class: "why" }, ` · ${reasonWord(reason)}`) : null,
  );
}

/** How far an action got, by shape and word. */
export function deliveryBadge(action) {
  const [glyph, word] = DELIVERIES[action.delivery] ?? ["?", action.delivery];
  return h(
    "span",
    { class: `delivery ${action.delivery}` },
    h("span", { class: "glyph", "aria-hidden": "true" }, glyph),
    word,
  );
}

/** `4 s`, `3 min`, `2 h`. */
export function span(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const ago = (at) => (at === null || at === undefined ? "never" : `${span(now() - at)} ago`);

/** The time of day here; the date too if it is another one. */
export function clock(at) {
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString([], { hour12: false });
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}

export const share = (score) => (score === null || score === undefined ? "–" : score.toFixed(2));

/** Why an action was decided, in a sentence. */
export function because(action) {
  if (action.unknown) return `Not seen for ${span(action.within_s)}: ${reasonWord(action.unknown)}.`;
  if (action.category === null) return "A person cleared the case.";
  return (
    `${action.category} at ${share(action.score)} in ${action.hits} of the last ${action.of} samples; ` +
    `rule ${action.rule} acts from ${share(action.enter)}.`
  );
}

/** Where a stream stands with one rule, in a sentence. */
export function standing(one) {
  const highest = share(one.highest);
  const needs = `${one.hits} of ${one.of} samples at ${share(one.enter)} or more within ${span(one.within_s)}`;
  switch (one.standing) {
    case "unseen":
      return "Has not acted: no sample has a score of this category yet.";
    case "below":
      return `Has not acted: the highest of the last ${one.of} samples is ${highest}, and it needs ${needs}.`;
    case "too_few":
      return `Has not acted: ${one.hits_now} so far (highest ${highest}), and it needs ${needs}.`;
    case "cooling":
      return `Would act again, but waits ${span(one.cooldown_s)} more after the last time.`;
    case "held":
      return `Entered, but the newest sample is below ${share(one.enter)}; it acts at the next that is not.`;
    default:
      return `Has acted${one.fired_at ? ` at ${clock(one.fired_at)}` : ""}: ${one.hits_now} hits, highest ${highest}.`;
  }
}
