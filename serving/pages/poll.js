// Asks the API every few seconds while the page is seen; what was shown stays when an answer fails.

const INTERVAL_MS = 5000;
const TIMEOUT_MS = 4000;

// Calls shown(answer) or failed({ status, title, detail }); status 0 means that nothing answered.
// A failure for good (404, 422) ends the asking.
export function poll(url, shown, failed) {
  let timer = 0;
  let ended = false;

  async function ask() {
    clearTimeout(timer);
    if (ended) return;
    try {
      const { ok, status, body } = await answerOf(url);
      if (ok) shown(body);
      else {
        ended = status === 404 || status === 422;
        failed({ status, title: body.title, detail: body.detail });
      }
    } finally {
      if (!ended && !document.hidden) timer = setTimeout(ask, INTERVAL_MS);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
  ask();
}

// What went wrong on the way becomes an answer of its own; what goes wrong in drawing does not.
async function answerOf(url) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
    return { ok: answer.ok, status: answer.status, body: await answer.json() };
  } catch {
    const body = { title: "No connection", detail: "Meterbeat did not answer; trying again." };
    return { ok: false, status: 0, body };
  }
}
