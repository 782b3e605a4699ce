// Questions to the API: an answer or a problem, never an exception, and never for longer than a limit.

const TIMEOUT_MS = 8000;

// Returns { ok, status, body, headers }; status 0 means that nothing answered. Without a session it goes to log in.
export async function ask(url, options = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([limit, options.signal]) : limit;
  try {
    const answer = await fetch(url, { cache: "no-cache", ...options, signal });
    if (answer.status === 401 && !options.anonymous) logIn();
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.includes("json");
    return { ok: answer.ok, status: answer.status, body: json && text ? JSON.parse(text) : problemOf(answer) };
  } catch (error) {
    if (options.signal?.aborted) return { ok: false, status: -1, body: {} };
    const body = { title: "No connection", detail: "Meterbeat did not answer; trying again." };
    return { ok: false, status: 0, body };
  }
}

function problemOf(answer) {
  return answer.ok ? {} : { title: "That did not work", detail: `Meterbeat answered ${answer.status} ${answer.statusText}.` };
}

function logIn() {
  location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// An address with its query; a null value is left out.
export function address(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return known.length ? `${path}?${new URLSearchParams(known)}` : path;
}

// All items of a paged list, `most` pages at most; { ok, status, body } as of the last question.
export async function askAll(path, query = {}, most = 20) {
  const items = [];
  let cursor = null;
  for (let page = 0; page < most; page += 1) {
    const answer = await ask(address(path, { ...query, cursor }));
    if (!answer.ok) return answer;
    items.push(...answer.body.items);
    cursor = answer.body.next;
    if (!cursor) return { ...answer, body: { ...answer.body, items } };
  }
  return { ok: true, status: 200, body: { items, next: cursor } };
}
