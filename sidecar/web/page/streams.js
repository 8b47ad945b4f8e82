// All streams: usable with many hundreds, for only the rows in sight are drawn.

import { h, mark, s, say } from "./dom.js";
import { setKeys } from "./keys.js";
import { follow, live, now } from "./live.js";
import { ago, share, span, verdictBadge } from "./words.js";

const RANK = { violating: 0, unknown: 1, clear: 2 };
const SORTS = {
  attention: ["Needs attention first", (a, b) => RANK[a.verdict] - RANK[b.verdict] || (b.score ?? 0) - (a.score ?? 0) || byName(a, b)],
  name: ["Name", (a, b) => byName(a, b)],
  score: ["Highest score", (a, b) => (b.score ?? -1) - (a.score ?? -1) || byName(a, b)],
  look: ["Longest not seen", (a, b) => (a.seen ?? 0) - (b.seen ?? 0) || byName(a, b)],
};
const FILTERS = ["all", "violating", "unknown", "clear", "paused"];
const OVERSCAN = 6;

const byName = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const state = { search: "", filter: "all", sort: "attention", selected: null, top: 0 };

function matches(row) {
  if (state.filter === "paused" ? !row.paused : state.filter !== "all" && row.verdict !== state.filter) return false;
  if (!state.search) return true;
  const text = [row.id, row.policy, row.publisher ?? "", row.state, row.reason ?? "", row.top ?? "", ...Object.entries(row.labels).map(([k, v]) => `${k}=${v}`)];
  return state.search.toLowerCase().split(/\s+/).every((word) => text.some((t) => t.toLowerCase().includes(word)));
}

/** The past scores as a line; `points` is empty for a stream without any. */
export function sparkPoints(scores, width = 96, height = 24) {
  const step = width / 47;
  return scores.map((score, i) => `${((48 - scores.length + i) * step).toFixed(1)},${(height - 1 - score * (height - 2)).toFixed(1)}`).join(" ");
}

class Line {
  constructor() {
    this.link = h("a", {});
    this.sub = h("span", { class: "sub" });
    this.verdict = h("td", { class: "c-verdict" });
    this.look = h("td", { class: "c-look" });
    this.every = h("span", { class: "sub" });
    this.lookText = h("span", {});
    this.look.append(this.lookText, this.every);
    this.poly = s("polyline", { fill: "none" });
    this.half = s("line", { x1: 0, x2: 96, y1: 12, y2: 12, class: "half" });
    this.score = h("span", { class: "score" });
    this.top = h("span", { class: "sub" });
    this.state = h("td", { class: "c-state" });
    this.said = "";
    this.node = h(
      "tr",
      {},
      h("th", { scope: "row", class: "c-id" }, this.link, this.sub),
      this.verdict,
      this.look,
      h("td", { class: "c-spark" }, s("svg", { viewBox: "0 0 96 24", width: 96, height: 24, "aria-hidden": "true" }, this.half, this.poly)),
      h("td", { class: "c-score" }, this.score, this.top),
      this.state,
    );
  }

  show(row, index) {
    mark(this.node, "aria-rowindex", index + 2);
    mark(this.node, "class", row.id === state.selected ? "selected" : null);
    mark(this.link, "href", `#/streams/${encodeURIComponent(row.id)}`);
    say(this.link, row.id);
    const flags = [row.paused && row.paused > now() ? `paused, ${span(row.paused - now())} left` : "", row.cut ? "acted on" : "", row.shadow ? `shadow: ${row.shadow}` : ""];
    say(this.sub, flags.filter(Boolean).join(" · ") || row.policy);
    const said = `${row.verdict}/${row.reason}`;
    if (said !== this.said) this.verdict.replaceChildren(verdictBadge(row.verdict, row.reason), (this.age = h("span", { class: "sub" })));
    this.said = said;
    say(this.age, `for ${span(now() - row.since)}`);
    say(this.lookText, ago(row.seen));
    say(this.every, `every ${span(row.interval)}`);
    mark(this.poly, "points", sparkPoints(row.spark));
    say(this.score, share(row.score));
    say(this.top, row.top ?? "");
    const stateText = row.message ? `${row.state}: ${row.message}` : row.state;
    say(this.state, stateText);
    mark(this.state, "title", stateText);
  }
}

export function streamsView(main) {
  const lines = new Map();
  let shown = [];
  const search = h("input", { type: "search", id: "search", placeholder: "Name, label, policy, reason", value: state.search, "aria-label": "Search streams" });
  const sort = h("select", { "aria-label": "Order" }, Object.entries(SORTS).map(([key, [text]]) => h("option", { value: key, selected: key === state.sort }, text)));
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filter" });
  const above = h("tr", { class: "pad", "aria-hidden": "true" }, h("td", { colspan: 6 }));
  const below = h("tr", { class: "pad", "aria-hidden": "true" }, h("td", { colspan: 6 }));
  const body = h("tbody", {}, above, below);
  const table = h(
    "table",
    { class: "streams" },
    h("caption", { class: "unseen" }, "Streams under watch"),
    h("thead", {}, h("tr", {}, ["Stream", "Verdict", "Last look", "Scores", "Highest", "Connection"].map((text) => h("th", { scope: "col" }, text)))),
    body,
  );
  const empty = h("div", { class: "empty" });
  const scroller = h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Streams, scrollable" }, table, empty);
  const counts = h("p", { class: "counts", "aria-live": "off" });
  main.append(h("div", { class: "bar" }, h("h1", {}, "Streams"), counts), h("div", { class: "bar tools" }, search, chips, sort), scroller);

  function rowHeight() {
    return parseFloat(getComputedStyle(table).getPropertyValue("--row")) || 52;
  }

  function sift() {
    shown = [...live.rows.values()].filter(matches).sort(SORTS[state.sort][1]);
    const totals = { violating: 0, unknown: 0, clear: 0, paused: 0 };
    for (const row of live.rows.values()) {
      totals[row.verdict] += 1;
      if (row.paused && row.paused > now()) totals.paused += 1;
    }
    const all = live.rows.size;
    const seen = all ? Math.round(((all - totals.unknown) / all) * 100) : 0;
    say(counts, all ? `${all} under watch, ${seen} % of them seen; ${shown.length} shown` : "");
    for (const filter of FILTERS) {
      const chip = chips.querySelector(`[data-filter=${filter}]`) ?? chips.appendChild(h("button", { type: "button", "data-filter": filter, onclick: () => setFilter(filter) }));
      say(chip, `${filter[0].toUpperCase()}${filter.slice(1)} ${filter === "all" ? all : totals[filter]}`);
      mark(chip, "aria-pressed", String(filter === state.filter));
    }
    mark(table, "aria-rowcount", shown.length + 1);
  }

  function draw() {
    const height = rowHeight();
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - OVERSCAN);
    const last = Math.min(shown.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + OVERSCAN);
    const wanted = shown.slice(first, last);
    const keep = new Set(wanted.map((row) => row.id));
    for (const [id, line] of lines) {
      if (keep.has(id)) continue;
      line.node.remove();
      lines.delete(id);
    }
    let place = above;
    wanted.forEach((row, i) => {
      let line = lines.get(row.id);
      if (!line) lines.set(row.id, (line = new Line()));
      line.show(row, first + i);
      if (place.nextSibling !== line.node) place.after(line.node);
      place = line.node;
    });
    above.firstChild.height = first * height;
    below.firstChild.height = (shown.length - last) * height;
    mark(above, "hidden", first ? null : "");
    mark(below, "hidden", shown.length > last ? null : "");
    sayEmpty();
  }

  function sayEmpty() {
    mark(table, "hidden", shown.length ? null : "");
    let text = "";
    if (!live.head) text = "Waiting for the first news from the sidecar.";
    else if (!live.rows.size) text = "No stream is under watch. Configure one under streams:, put one by the API (PUT /api/streams/ID), or let a publisher push by WHIP.";
    else if (!shown.length) text = "No stream is like that. Press Esc in the search, or choose All.";
    say(empty, text);
    mark(empty, "hidden", text ? null : "");
  }

  function refresh() {
    sift();
    draw();
  }

  function setFilter(filter) {
    state.filter = filter;
    scroller.scrollTop = 0;
    refresh();
  }

  function move(by) {
    if (!shown.length) return;
    const at = shown.findIndex((row) => row.id === state.selected);
    const to = Math.min(shown.length - 1, Math.max(0, at < 0 ? 0 : at + by));
    state.selected = shown[to].id;
    const height = rowHeight();
    const headHeight = table.tHead.offsetHeight;
    if (to * height < scroller.scrollTop) scroller.scrollTop = to * height;
    else if ((to + 1) * height + headHeight > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = (to + 1) * height + headHeight - scroller.clientHeight;
    draw();
    lines.get(state.selected)?.link.focus({ preventScroll: true });
  }

  search.addEventListener("input", () => {
    state.search = search.value.trim();
    scroller.scrollTop = 0;
    refresh();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) {
      search.value = state.search = "";
      refresh();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      search.blur();
      move(0);
    }
  });
  sort.addEventListener("change", () => {
    state.sort = sort.value;
    refresh();
  });
  let framed = false;
  scroller.addEventListener("scroll", () => {
    if (framed) return;
    framed = true;
    requestAnimationFrame(() => {
      framed = false;
      state.top = scroller.scrollTop;
      draw();
    });
  });
  addEventListener("resize", draw);
  setKeys([
    ["j", "Next stream", () => move(1)],
    ["k", "Stream above", () => move(-1)],
    ["Enter", "Open the stream", () => state.selected && (location.hash = `#/streams/${encodeURIComponent(state.selected)}`)],
    ["/", "Search", () => search.focus()],
    ["v", "Violating only, or all", () => setFilter(state.filter === "violating" ? "all" : "violating")],
    ["u", "Unknown only, or all", () => setFilter(state.filter === "unknown" ? "all" : "unknown")],
  ]);
  refresh();
  scroller.scrollTop = state.top;
  draw();
  const unfollow = follow(refresh);
  return () => {
    unfollow();
    removeEventListener("resize", draw);
  };
}
