// The value stream map: the stages in order, each with what is in it and how it does, and below it where time goes.

import { byId, element, keepChildren, mark, tell } from "./dom.js";
import { NOTHING, count, duration, instant, percent, plural } from "./format.js";

const KINDS = { queue: "queue", active: "active", done: "done" };

const STATES = {
  stuck: "Stuck",
  not_keeping_up: "Not keeping up",
  steady_backlog: "Steady backlog",
  catching_up: "Catching up",
  insufficient_data: "Too little known",
};

const FIGURES = [
  ["oldest", "Oldest", "Age of the earliest arrival that is still there"],
  ["median", "Time, 50%", "Half of the visits that ended in the window took at most this long"],
  ["usual", "Time, 85%", "85% of the visits that ended in the window took at most this long"],
  ["accurate", "%C&A", "Complete and accurate: of the items that moved on, the share that never came back"],
  ["moved", "In → out", "Arrivals and departures in the window"],
  ["rework", "Sent back", "Departures to an earlier stage in the window"],
];

const FIGURES_OF_DONE = [
  ["moved", "Arrivals", "Arrivals in the window; an item that was reopened arrives again"],
  ["rework", "Reopened", "Departures out of this stage in the window"],
];

export class ValueStreamMap {
  #choose;
  #stages = [];

  /** `choose(stage)` is called when the items of a stage are asked for. */
  constructor(choose) {
    this.#choose = choose;
  }

  /** `stages` of the status; `now` says what time it is for the service, in ms; `chosen` is the name of a stage. */
  show(stages, at, chosen) {
    this.#stages = stages.map((stage) => ({
      ...stage,
      oldestAt: stage.oldest_age === null ? null : at - stage.oldest_age * 1000,
    }));
    const map = byId("map");
    map.style.setProperty("--stages", stages.length);
    keepChildren(
      map,
      this.#stages,
      (stage) => `${stage.stage} ${stage.kind}`,
      (stage) => this.#build(stage),
      (node, stage) => update(node, stage, chosen),
    );
    showTimes(this.#stages);
  }

  /** Lets ages grow between two readings. */
  tick(now) {
    for (const [index, node] of [...byId("map").children].entries()) {
      const { oldestAt } = this.#stages[index];
      if (node.parts.oldest) {
        tell(node.parts.oldest, oldestAt === null ? NOTHING : duration(Math.max(0, now - oldestAt) / 1000));
      }
    }
  }

  #build(stage) {
    const parts = {
      name: element("button", { type: "button", text: stage.stage, click: () => this.#choose(stage.stage) }),
      wip: element("span", { class: "wip" }),
      limit: element("span", { class: "limit" }),
      level: element("span", { class: "level", "aria-hidden": "true" }, element("span")),
      flags: element("p", { class: "flags" }),
      verdict: element("p", { class: "verdict" }),
    };
    const figuresOf = stage.kind === "done" ? FIGURES_OF_DONE : FIGURES;
    const rows = figuresOf.map(([name, label, meaning]) => {
      parts[name] = element("dd");
      return element("div", { class: name, title: meaning }, element("dt", { text: label }), parts[name]);
    });
    const head = element("h3", {}, parts.name);
    const kind = element("span", { class: "kind", text: KINDS[stage.kind] });
    const now = element("p", { class: "now" }, parts.wip, parts.limit);
    const figures = element("dl", {}, ...rows);
    const node = element(
      "li",
      { class: `stage ${stage.kind}` },
      element("div", { class: "head" }, head, kind),
      now,
      parts.level,
      figures,
      parts.flags,
      parts.verdict,
    );
    node.parts = parts;
    return node;
  }
}

function update(node, stage, chosen) {
  const { parts } = node;
  const isDone = stage.kind === "done";
  const over = stage.wip_limit !== null && stage.wip > stage.wip_limit;
  tell(parts.wip, count(isDone ? stage.arrivals - stage.rework : stage.wip));
  tell(parts.limit, limitText(stage, over));
  node.classList.toggle("over", over);
  mark(parts.name, "aria-pressed", isDone ? null : String(stage.stage === chosen));
  parts.name.disabled = isDone;
  parts.level.classList.toggle("none", stage.wip_limit === null);
  parts.level.firstChild.style.width = `${Math.min(100, (100 * (stage.wip ?? 0)) / (stage.wip_limit ?? 1))}%`;
  tell(parts.moved, isDone ? count(stage.arrivals) : `${count(stage.arrivals)} → ${count(stage.departures)}`);
  tell(parts.rework, count(stage.rework));
  if (!isDone) {
    tell(parts.median, duration(stage.time.p50));
    tell(parts.usual, duration(stage.time.p85));
    tell(parts.accurate, percent(stage.percent_complete_accurate));
  }
  tell(parts.flags, flags(stage).join(" · "));
  parts.flags.hidden = !parts.flags.textContent;
  showBottleneck(node, stage.bottleneck);
}

function limitText(stage, over) {
  if (stage.kind === "done") {
    return "finished";
  }
  const noun = stage.kind === "queue" ? "waiting" : "in work";
  if (stage.wip_limit === null) {
    return noun;
  }
  return over ? `over the limit of ${count(stage.wip_limit)}` : `${noun}, limit ${count(stage.wip_limit)}`;
}

function flags(stage) {
  const blocked = stage.blocked ? [`${count(stage.blocked)} blocked`] : [];
  const late = stage.items_over_sle ? [`${count(stage.items_over_sle)} past the expected time`] : [];
  return [...blocked, ...late];
}

function showBottleneck(node, bottleneck) {
  const state = bottleneck?.state ?? null;
  mark(node, "data-state", state);
  mark(node, "data-constrains", bottleneck?.constrains ? "" : null);
  mark(node, "data-raised", bottleneck?.raised ? "" : null);
  mark(node.parts.verdict, "title", bottleneck ? sentence(bottleneck.why) : null);
  tell(node.parts.verdict, bottleneck === null ? "" : stateText(bottleneck));
  node.parts.verdict.hidden = bottleneck === null;
}

function stateText(bottleneck) {
  const text = STATES[bottleneck.state] ?? bottleneck.state;
  return bottleneck.constrains ? `Bottleneck: ${text.toLowerCase()}` : text;
}

/** One sentence about the whole stream: which stage holds it up, and why. `isWatched`: whether the detector looks. */
export function verdictOf(stages, isWatched) {
  const said = stages.filter((stage) => stage.bottleneck !== null);
  const found = said.find((stage) => stage.bottleneck.constrains) ?? said.find((stage) => stage.bottleneck.raised);
  if (found) {
    const { state, cause, why, since, constrains } = found.bottleneck;
    const role = constrains ? "holds the stream up" : "is in alarm";
    const reason = cause ? ` (${cause})` : "";
    const began = since ? ` Since ${instant(Date.parse(since))}.` : "";
    return {
      level: "alarm",
      text: `${found.stage} ${role}: ${(STATES[state] ?? state).toLowerCase()}${reason}. ${sentence(why)}${began}`,
    };
  }
  const unknown = said.filter((stage) => stage.bottleneck.state === "insufficient_data");
  if (unknown.length) {
    const names = unknown.map((stage) => stage.stage).join(", ");
    const others =
      stages.filter((stage) => stage.kind !== "done").length > unknown.length ? "No other stage is in alarm." : "";
    return {
      level: "unknown",
      text: `Too little is known to judge ${names}: ${sentence(unknown[0].bottleneck.why)} ${others}`.trim(),
    };
  }
  const text = isWatched ? "No stage is in alarm." : "The bottleneck detector has not looked at this stream of late.";
  return { level: isWatched ? "calm" : "unknown", text };
}

/** What the detector says, as a sentence, with its instants as people read them. */
function sentence(text) {
  const readable = text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (at) => instant(Date.parse(at)));
  return /[.!?]$/.test(readable) ? readable : `${readable}.`;
}

function showTimes(stages) {
  const host = byId("times");
  const known = stages.filter((stage) => stage.kind !== "done" && stage.time.mean);
  const sum = (kind) =>
    known.filter((stage) => stage.kind === kind).reduce((total, stage) => total + stage.time.mean, 0);
  const [waiting, working] = [sum("queue"), sum("active")];
  host.hidden = waiting + working === 0;
  if (host.hidden) {
    return;
  }
  if (!host.firstChild) {
    host.append(
      element("p", { class: "note" }),
      element("ol", { class: "times", "aria-label": "Mean time of a visit, by stage" }),
    );
  }
  const share = percent(working / (waiting + working));
  const parts = `${duration(waiting)} in queues, ${duration(working)} in work (${share})`;
  tell(host.firstChild, `Mean time on the way: ${parts}, over ${plural(known.length, "stage")}`);
  keepChildren(
    host.lastChild,
    known,
    (stage) => `${stage.stage} ${stage.kind}`,
    buildTime,
    (node, stage) => {
      node.style.flexGrow = stage.time.mean / (waiting + working);
      node.title = `${stage.stage}: ${duration(stage.time.mean)} on average`;
      tell(node.lastChild, duration(stage.time.mean));
    },
  );
}

function buildTime(stage) {
  return element("li", { class: stage.kind }, element("span", { text: stage.stage }), " ", element("span"));
}
