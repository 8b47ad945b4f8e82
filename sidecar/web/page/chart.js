// A stream's scores over time, with thresholds, windows, verdicts and actions.

import { h, s } from "./dom.js";
import { actionWord, clock, share } from "./words.js";

const LEFT = 40;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 46;
const BAND = 12;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "1 4", "12 4"];
const CUTS = ["takedown", "interrupt"];

/** Thresholds and scores by category get one look each, told apart by dashes too. */
export function categoriesOf(story) {
  const ruled = story.standings.map((one) => one.category);
  return [...new Set([...ruled, ...Object.keys(story.series.scores)])];
}

function paths(at, scores, x, y, gap) {
  let text = "";
  let open = false;
  scores.forEach((score, i) => {
    const broken = i && at[i] - at[i - 1] > gap;
    if (score === null) open = false;
    else {
      text += `${open && !broken ? "L" : "M"}${x(at[i]).toFixed(1)},${y(score).toFixed(1)}`;
      open = true;
    }
  });
  return text;
}

/** What the picture shows, in a sentence, for those who do not see it. */
export function summary(story, minutes) {
  const { at, scores } = story.series;
  if (!at.length) return `No sample in the last ${minutes} minutes.`;
  const peaks = Object.entries(scores).map(([category, list]) => `${category} up to ${share(Math.max(...list.filter((v) => v !== null)))}`);
  const acted = story.actions.filter((a) => a.decided_at >= at[0]).length;
  return `${at.length} points since ${clock(at[0])}: ${peaks.join(", ")}; ${acted} actions.`;
}

function marker(action, x, top, bottom, hollow) {
  const cut = CUTS.includes(action.action);
  const shape = cut ? `M${x - 6},${top}L${x + 6},${top}L${x},${top + 10}Z` : `M${x},${top}L${x + 5},${top + 5}L${x},${top + 10}L${x - 5},${top + 5}Z`;
  return s(
    "g",
    { class: `act ${hollow ? "would" : cut ? "cut" : "mild"}` },
    s("line", { x1: x, x2: x, y1: top, y2: bottom }),
    s("path", { d: shape }),
    s("title", {}, `${hollow ? "Shadow would: " : ""}${actionWord(action.action)} at ${clock(action.decided_at ?? action.at)}${action.dry_run ? ", dry run" : ""}`),
  );
}

/** The figure; `width` in pixels. */
export function timeline(story, minutes, width) {
  const height = width < 600 ? 240 : 300;
  const end = story.now;
  const start = end - minutes * 60;
  const floor = height - BOTTOM;
  const x = (at) => LEFT + ((Math.min(end, Math.max(start, at)) - start) / (end - start)) * (width - LEFT - RIGHT);
  const y = (score) => TOP + (1 - score) * (floor - TOP);
  const categories = categoriesOf(story);
  const dash = (category) => DASHES[categories.indexOf(category) % DASHES.length];
  const inSight = (at) => at >= start && at <= end;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": summary(story, minutes), class: "timeline" });
  for (const score of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(score), y2: y(score) }), s("text", { class: "tick", x: LEFT - 6, y: y(score) + 4, "text-anchor": "end" }, score.toFixed(2)));
  }
  for (let i = 0; i <= 4; i += width < 600 ? 2 : 1) {
    const at = start + ((end - start) * i) / 4;
    const anchor = i === 0 ? "start" : i === 4 ? "end" : "middle";
    svg.append(s("text", { class: "tick", x: x(at), y: height - 6, "text-anchor": anchor }, i === 4 ? "now" : clock(at)));
  }
  for (const action of story.actions.filter((a) => inSight(a.decided_at) && a.category)) {
    const from = x(action.captured_at - action.within_s);
    svg.append(s("rect", { class: "window", x: from, y: TOP, width: Math.max(1, x(action.captured_at) - from), height: floor - TOP }));
  }
  const turns = story.turns.map((turn, i) => ({ ...turn, until: story.turns[i + 1]?.at ?? end }));
  for (const turn of turns.filter((t) => t.until >= start)) {
    svg.append(
      s("rect", { class: `band ${turn.verdict}`, x: x(turn.at), y: floor + 6, width: Math.max(1, x(turn.until) - x(turn.at)), height: BAND }, s("title", {}, `${turn.verdict}${turn.reason ? ` (${turn.reason})` : ""} from ${clock(turn.at)}`)),
    );
  }
  for (const one of story.standings) {
    const look = `threshold k${categories.indexOf(one.category) % DASHES.length}`;
    svg.append(
      s("line", { class: look, x1: LEFT, x2: width - RIGHT, y1: y(one.enter), y2: y(one.enter), "stroke-dasharray": "4 4" }, s("title", {}, `${one.rule}: acts from ${one.enter}`)),
      s("line", { class: `${look} exit`, x1: LEFT, x2: width - RIGHT, y1: y(one.exit), y2: y(one.exit), "stroke-dasharray": "1 5" }),
    );
  }
  const labels = [...story.standings].sort((a, b) => b.enter - a.enter);
  labels.forEach((one, i) => svg.append(s("text", { class: "label", x: width - RIGHT - 4, y: Math.min(floor - 4, y(one.enter) - 4 + (i && labels[i - 1].enter === one.enter ? 12 : 0)), "text-anchor": "end" }, `${one.rule} ${share(one.enter)}`)));
  const { at, scores } = story.series;
  const gap = Math.max(story.stale_after_s, (minutes * 60) / 200);
  for (const [category, list] of Object.entries(scores)) {
    svg.append(s("path", { class: `line k${categories.indexOf(category) % DASHES.length}`, d: paths(at, list, x, y, gap), "stroke-dasharray": dash(category) }));
  }
  for (const action of story.shadow.filter((a) => inSight(a.at))) svg.append(marker(action, x(action.at), TOP - 12, floor, true));
  for (const action of story.actions.filter((a) => inSight(a.decided_at))) svg.append(marker(action, x(action.decided_at), TOP - 12, floor, false));
  return svg;
}

/** Which line is which. */
export function legend(story) {
  const categories = categoriesOf(story);
  return h(
    "ul",
    { class: "legend" },
    categories.map((category, i) =>
      h("li", {}, s("svg", { width: 30, height: 10, "aria-hidden": "true" }, s("line", { class: `line k${i % DASHES.length}`, x1: 0, x2: 30, y1: 5, y2: 5, "stroke-dasharray": DASHES[i % DASHES.length] })), category),
    ),
    h("li", {}, s("svg", { width: 14, height: 12, "aria-hidden": "true" }, s("g", { class: "act cut" }, s("path", { d: "M1,1L13,1L7,11Z" }))), "takedown or interrupt"),
    h("li", {}, s("svg", { width: 14, height: 12, "aria-hidden": "true" }, s("g", { class: "act mild" }, s("path", { d: "M7,1L12,6L7,11L2,6Z" }))), "milder action"),
    h("li", {}, s("svg", { width: 14, height: 12, "aria-hidden": "true" }, s("g", { class: "act would" }, s("path", { d: "M1,1L13,1L7,11Z" }))), "shadow would"),
    h("li", {}, s("svg", { width: 14, height: 12, "aria-hidden": "true" }, s("rect", { class: "window", x: 1, y: 1, width: 12, height: 10 })), "samples an action rests on"),
  );
}
