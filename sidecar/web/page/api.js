// Requests to the sidecar this page came from, and to nobody else.

/** An answer that is not what was asked for; `detail` says what to do. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    Object.assign(this, { status, code });
  }
}

const UNREACHED = "The sidecar does not answer. It may be restarting; try again in a moment.";

async function request(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers }, credentials: "same-origin" };
  if (method !== "GET") options.headers["X-Sidecar-Page"] = "1";
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Problem(0, "unreached", UNREACHED);
  }
  if (reply.ok && reply.headers.get("content-type") === "image/png") return reply.blob();
  if (reply.ok) return reply.status === 204 || reply.status === 202 && !reply.headers.get("content-type") ? null : reply.json();
  const problem = await reply.json().catch(() => ({}));
  if (reply.status === 401 && path !== "/api/login") dispatchEvent(new Event("logged-out"));
  const faults = (problem.faults ?? []).map((f) => `${f.field}: ${f.problem}`).join("; ");
  throw new Problem(reply.status, problem.code ?? "failed", [problem.detail ?? reply.statusText, faults].filter(Boolean).join(" "));
}

export const get = (path) => request("GET", path);
export const post = (path, body, headers) => request("POST", path, body, headers);
export const put = (path, body) => request("PUT", path, body);
export const remove = (path) => request("DELETE", path);

export const streamPath = (id, rest = "") => `/api/streams/${encodeURIComponent(id)}${rest}`;
