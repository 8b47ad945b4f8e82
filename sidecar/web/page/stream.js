// One stream: what was seen of it, why it was acted on or not, and what can be done.

import { glimpse, mayAct, outcomeButtons, pause, report, resume, reverse } from "./acts.js";
import { get, streamPath } from "./api.js";
import { legend, summary, timeline } from "./chart.js";
import { h, say } from "./dom.js";
import { setKeys } from "./keys.js";
import { follow, live, now } from "./live.js";
import { actionWord, ago, because, clock, deliveryBadge, share, span, standing, verdictBadge } from "./words.js";

const SPANS = [
  [2, "2 min"],
  [10, "10 min"],
  [60, "1 hour"],
  [240, "4 hours"],
  [1440, "24 hours"],
];
const LEG_WORDS = { receive: "Receive", decode: "Decode", queue: "Wait for a batch", inference: "Model" };
let minutes = 10;

export function streamView(main, id, session) {
  let story = null;
  let gone = false;
  let asking = false;
  const verdict = h("span", {});
  const facts = h("p", { class: "facts" });
  const buttons = h("div", { class: "buttons" });
  const figure = h("figure", { class: "panel" });
  const why = h("div", { class: "panel" });
  const acted = h("div", { class: "panel" });
  const legs = h("div", { class: "panel" });
  const spans = h("div", { class: "chips", role: "group", "aria-label": "How far back" });
  const fault = h("p", { class: "empty", hidden: true });
  main.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/streams" }, "← Streams")),
    h("div", { class: "bar" }, h("h1", { class: "id" }, id), verdict),
    facts,
    buttons,
    fault,
    spans,
    figure,
    h("div", { class: "columns" }, why, h("div", {}, acted, legs)),
  );

  function showButtons() {
    const may = mayAct(session);
    const paused = story?.pause && story.pause.until > now();
    const looks = Boolean(live.head?.thumbnails);
    const wanted = JSON.stringify([may, Boolean(paused), gone, looks]);
    if (buttons.dataset.for === wanted) return;
    buttons.dataset.for = wanted;
    const why = may ? null : "An operator's token is needed";
    buttons.replaceChildren(
      h("button", { type: "button", disabled: !may || gone, title: why ?? "Look closely for a while (r)", onclick: () => report(id) }, "Look closely"),
      h("button", { type: "button", disabled: !may, title: why ?? "Restore after a takedown (x)", onclick: () => reverse(id).then(ask) }, "Reverse takedown"),
      paused
        ? h("button", { type: "button", disabled: !may, title: why ?? "(p)", onclick: () => resume(id).then(ask) }, "End the pause")
        : h("button", { type: "button", disabled: !may, title: why ?? "Actions become dry runs (p)", onclick: () => pause(id).then(ask) }, "Pause automation"),
      looks ? h("button", { type: "button", disabled: !may || gone, title: why, onclick: () => glimpse(id) }, "Blurred picture…") : "",
    );
  }

  function showFacts() {
    const row = live.rows.get(id);
    gone = !row;
    if (row) verdict.replaceChildren(verdictBadge(row.verdict, row.reason));
    else if (story) verdict.replaceChildren(h("span", { class: "verdict gone" }, "■ Not under watch any more"));
    const parts = [];
    if (row) parts.push(`last look ${ago(row.seen)}`, `every ${span(row.interval)}`, `${row.kind}, ${row.state}${row.message ? `: ${row.message}` : ""}`);
    if (story) parts.push(`policy ${story.policy}${story.dry_run ? " (dry run)" : ""}`);
    if (story?.pause && story.pause.until > now()) parts.push(`paused by ${story.pause.by} until ${clock(story.pause.until)}: ${story.pause.reason}`);
    say(facts, parts.join(" · "));
    showButtons();
  }

  function drawChart() {
    const width = Math.max(300, figure.clientWidth - 2);
    figure.replaceChildren(timeline(story, minutes, width), legend(story), h("figcaption", {}, summary(story, minutes)));
  }

  function drawWhy() {
    const unknown = story.unknown_action
      ? `If it is not seen for ${span(story.unknown_after_s)}: ${actionWord(story.unknown_action).toLowerCase()}.`
      : "Not being seen leads to nothing but the verdict (fails open).";
    why.replaceChildren(
      h("h2", {}, "Why, rule by rule"),
      story.standings.length
        ? h(
            "ul",
            { class: "rules" },
            story.standings.map((one) =>
              h("li", { class: one.standing }, h("strong", {}, `${one.rule}: ${actionWord(one.action).toLowerCase()} on ${one.category}`), h("br"), standing(one)),
            ),
          )
        : h("p", {}, "The stream has ended; what it was judged by is not kept. Its actions are listed here."),
      h("p", { class: "sub" }, unknown),
      h("p", { class: "sub" }, h("a", { href: "#/thresholds" }, "What would other thresholds do?")),
    );
  }

  function drawActions() {
    const shadow = story.shadow.slice(-5).reverse();
    acted.replaceChildren(
      h("h2", {}, "What was done"),
      story.actions.length
        ? h(
            "ul",
            { class: "acts" },
            story.actions.slice(0, 20).map((action) =>
              h(
                "li",
                {},
                h("strong", {}, actionWord(action.action)),
                action.dry_run ? h("span", { class: "tag" }, "dry run") : null,
                ` ${clock(action.decided_at)} `,
                deliveryBadge(action),
                h("br"),
                because(action),
                h("span", { class: "buttons" }, outcomeButtons(action, session)),
              ),
            ),
          )
        : h("p", { class: "sub" }, "Nothing so far."),
      shadow.length ? h("h3", {}, "What the shadow policy would have done") : null,
      shadow.length ? h("ul", { class: "acts" }, shadow.map((a) => h("li", {}, `${actionWord(a.action)} at ${clock(a.at)}, ${a.policy}/${a.rule}, score ${share(a.score)}`))) : null,
    );
    for (const child of [...acted.childNodes]) if (child.nodeValue === "null") child.remove();
  }

  function drawLegs() {
    const entries = Object.entries(story.legs_ms);
    const most = Math.max(1, ...entries.map(([, ms]) => ms));
    legs.replaceChildren(
      h("h2", {}, "Timings of the last look"),
      entries.length
        ? h("table", { class: "legs" }, h("tbody", {}, entries.map(([leg, ms]) => h("tr", {}, h("th", { scope: "row" }, LEG_WORDS[leg] ?? leg), h("td", {}, h("meter", { min: 0, max: most, value: String(ms), "aria-label": `${leg} ${ms} milliseconds` })), h("td", { class: "number" }, `${ms.toFixed(1)} ms`)))))
        : h("p", { class: "sub" }, "Not looked at yet."),
    );
  }

  function draw() {
    drawChart();
    drawWhy();
    if (!acted.contains(document.activeElement)) drawActions();
    drawLegs();
  }

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      story = await get(streamPath(id, `/story?minutes=${minutes}`));
      fault.hidden = true;
      showFacts();
      draw();
    } catch (error) {
      fault.hidden = false;
      say(fault, error.status === 404 ? `There is no stream ${id}, nor has one of that name ended of late. It may have a new name, or not have come yet.` : error.message);
    } finally {
      asking = false;
    }
  }

  function setSpan(to) {
    minutes = to;
    for (const chip of spans.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.minutes) === minutes));
    ask();
  }

  spans.append(...SPANS.map(([value, text]) => h("button", { type: "button", "data-minutes": value, "aria-pressed": String(value === minutes), onclick: () => setSpan(value) }, text)));
  const step = (by) => setSpan(SPANS[Math.min(SPANS.length - 1, Math.max(0, SPANS.findIndex(([v]) => v === minutes) + by))][0]);
  setKeys([
    ["r", "Look closely for a while", () => mayAct(session) && report(id)],
    ["x", "Reverse the takedown", () => mayAct(session) && reverse(id).then(ask)],
    ["p", "Pause automation, or end the pause", () => mayAct(session) && (story?.pause ? resume(id) : pause(id)).then(ask)],
    ["+", "Look further back", () => step(1)],
    ["-", "Look less far back", () => step(-1)],
    ["Backspace", "Back to the streams", () => (location.hash = "#/streams")],
  ]);
  showFacts();
  ask();
  let turn = 0;
  const every = () => (minutes <= 10 ? 1 : 5);
  const unfollow = follow(() => {
    showFacts();
    turn += 1;
    if (live.state === "live" && turn % every() === 0) ask();
  });
  return unfollow;
}
