// What the sidecar tells once a second, kept here; views are told when it changes.

const SPARK = 48;
const RETRY_MS = 2000;

/** Everything known: rows by stream, actions by key, and the whole. */
export const live = {
  rows: new Map(),
  actions: new Map(),
  head: null,
  state: "connecting", // live, reconnecting
  offsetMs: 0, // the sidecar's clock less this one's
  turns: 0,
};

const listeners = new Set();
let source = null;
let retry = null;

/** Calls `listener` at each news; gives the way to stop it. */
export function follow(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The sidecar's time, Unix seconds. */
export const now = () => (Date.now() + live.offsetMs) / 1000;

function tell() {
  for (const listener of [...listeners]) listener();
}

function take(news) {
  if (news.full) {
    live.rows.clear();
    live.actions.clear();
  }
  for (const id of news.gone) live.rows.delete(id);
  for (const row of news.rows) {
    const known = live.rows.get(row.id);
    const next = known ? Object.assign(known, row) : row;
    if (!known || row.spark) next.spark ??= [];
    else if (row.seen !== next.lastSeen && row.score !== null) next.spark.push(row.score);
    next.lastSeen = row.seen;
    if (next.spark.length > SPARK) next.spark.splice(0, next.spark.length - SPARK);
    live.rows.set(row.id, next);
  }
  for (const action of news.actions) live.actions.set(action.key, action);
  while (live.actions.size > 1000) live.actions.delete(live.actions.keys().next().value);
  live.head = news.head;
  live.offsetMs = news.head.now * 1000 - Date.now();
  live.turns += 1;
}

function become(state) {
  if (live.state === state) return;
  live.state = state;
  tell();
}

/** Begins to listen; comes back by itself after a break or a restart of the sidecar. */
export function connect() {
  disconnect();
  source = new EventSource("/api/live");
  source.addEventListener("news", (event) => {
    take(JSON.parse(event.data));
    live.state = "live";
    tell();
  });
  source.addEventListener("error", () => {
    become("reconnecting");
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY_MS);
  });
}

export function disconnect() {
  clearTimeout(retry);
  source?.close();
  source = null;
}
