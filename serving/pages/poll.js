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
      const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
      const body = await answer.json();
      if (answer.ok) shown(body);
      else {
        ended = answer.status === 404 || answer.status === 422;
        failed({ status: answer.status, title: body.title, detail: body.detail });
      }
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) throw error;
      failed({ status: 0, title: "No connection", detail: "Meterbeat did not answer; trying again." });
    } finally {
      if (!ended && !document.hidden) timer = setTimeout(ask, INTERVAL_MS);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
  ask();
}
