// Operations: is the stream keeping up, was last night published, and what could not be read.

import { byId, make, table } from "../lib/dom.js";
import { compact, count, number } from "../lib/format.js";
import { showFreshness, showNotes, showNoTrouble, showTrouble, start } from "../lib/page.js";
import { poll } from "../lib/poll.js";
import { clock, dateText } from "../lib/times.js";
import { deadLetters } from "./letters.js";

const AGAIN_MS = 5000;
const WATERMARK_S_MAX = 60; // older, and what pages call now is not
const STORES = { redis: "Redis", mysql: "MySQL", kafka: "Kafka", flink: "Flink" };
let newest = null;

start();
poll("/api/v1/operations", AGAIN_MS, show, fail);
deadLetters(byId("letters"), byId("letters-more"), byId("letters-said"));

function show(answer) {
  newest = answer;
  showNoTrouble();
  const behind = answer.watermark_age_s === null || answer.watermark_age_s > WATERMARK_S_MAX;
  showFreshness(behind ? "stale" : "fresh", `As of ${clock(answer.as_of, "UTC", true)} UTC`);
  showNotes(answer.notes ?? [], "UTC");
  byId("tiles").replaceChildren(
    tile("Lag", compact(answer.lag_heartbeats), "heartbeats behind the topics"),
    tile("Watermark", seconds(answer.watermark_age_s), "behind the clock", behind),
    tile("Rate", compact(answer.heartbeats_per_s), "heartbeats a second"),
    tile("Late", compact(answer.late), "beyond the watermark; batch counts them"),
    tile("Malformed", compact(answer.malformed), "set aside as dead letters"));
  byId("night").replaceChildren(nights(answer.nights));
  byId("stream").replaceChildren(stream(answer));
}

function tile(name, figure, note, alarming) {
  return make("section", { class: "card" },
    make("p", { class: "name" }, name, alarming ? make("span", { class: "tag warn", text: "look here" }) : null),
    make("p", { class: "big", text: figure }), make("p", { class: "note", text: note }));
}

function seconds(value) {
  return value === null || value === undefined ? "–" : `${number(value, value < 10 ? 1 : 0)} s`;
}

function nights(told) {
  if (!told?.length) return make("p", { class: "quiet", text: told ? "No night is published yet." : "MySQL is away, which knows the nights." });
  const rows = told.map((item) => [dateText(item.night), clock(item.published_at, "UTC"), count(item.users), compact(item.heartbeats)]);
  return table("Nights", ["Night (UTC)", "Published (UTC)", "Users", "Heartbeats"], rows, { class: "nights" });
}

function stream(answer) {
  const { archive, checkpoints, redis } = answer;
  const told = (value, words) => (value === null || value === undefined ? "–" : words(value));
  const ago = (value) => told(value, (age) => `${seconds(age)} ago`);
  const rows = Object.entries(answer.stores).map(([name, state]) => [STORES[name] ?? name, stateTag(state)]);
  return table("Stream and stores", ["What", "State"], [
    ...rows,
    ["Newest heartbeat read", ago(answer.newest_event_age_s)],
    ["Archive behind the topics", told(archive.lag_heartbeats, (lag) => `${compact(lag)} heartbeats`)],
    ["Last checkpoint", told(checkpoints.age_s, (age) => `${ago(age)}, took ${seconds(checkpoints.duration_s)}`)],
    ["Checkpoints failed", count(checkpoints.failed)],
    ["Users with live state", count(answer.live_users)],
    ["Memory of Redis", told(redis.used_bytes, (used) => `${megabytes(used)}${redis.limit_bytes ? ` of ${megabytes(redis.limit_bytes)}` : ""}`)],
  ]);
}

function stateTag(state) {
  return make("span", { class: state === "away" ? "tag bad" : "tag", text: state ?? "unknown" });
}

function megabytes(bytes) {
  return `${number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;
}

function fail(problem) {
  if (!newest) byId("content").hidden = true;
  showTrouble(problem, newest && `${clock(newest.as_of, "UTC", true)} UTC`);
}
