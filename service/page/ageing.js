// The ageing chart: each dot is an item where it is now, as old as it is since its commitment. The shades are how old
// the latest finished items were when they left that stage: an item above them is slower than those were.

import { shape, tell } from "./dom.js";
import { count, duration, plural } from "./format.js";
import { fillTable } from "./listing.js";
import { Plot, nothing, panel, spaced, yAxis } from "./plot.js";
import { bentDurationTicks, scale } from "./scales.js";

const REACH = 24;
const BEND = 0.5;
const EDGES = ["p50", "p70", "p85", "p95"];
const NOTE = "Since their commitment. Shades: 50, 70, 85 and 95% of finished items were younger when they left the stage.";

export class Ageing {
  #items = [];
  #stages = [];
  #now = 0;
  #plot;
  #open;
  #panel = panel("ageing", "Age of what is in progress", NOTE);

  /** `open(item)` is called when one is chosen. */
  constructor(open) {
    this.root = this.#panel.root;
    this.#open = open;
    this.#plot = new Plot(this.#panel.host, (size) => this.#draw(size));
    this.#panel.details.addEventListener("toggle", () => this.#fill());
  }

  /**
   * `items` are open ones with their commitment `startedAt` in ms, those that arrived first if that `isCut`; `pace` the
   * percentiles by stage, `now` in ms.
   */
  show(items, { isCut, pace, now }) {
    tell(this.#panel.note, isCut ? `${NOTE} Dots: the ${count(items.length)} that arrived in their stage first.` : NOTE);
    this.#stages = pace;
    const names = new Set(pace.map((stage) => stage.stage));
    this.#items = items.filter((item) => item.startedAt !== null && names.has(item.stage));
    this.#now = now;
    this.#plot.refresh();
    this.#fill();
  }

  #age(item) {
    return Math.max(0, this.#now - item.startedAt) / 1000;
  }

  #isLate(item) {
    const stage = this.#stages.find((each) => each.stage === item.stage);
    return this.#age(item) > (stage.p85 ?? Infinity);
  }

  #count(stage) {
    return this.#items.filter((item) => item.stage === stage.stage).length;
  }

  #draw(size) {
    const { width, height, unit } = size;
    if (!this.#items.length) {
      return nothing(size, "Nothing that was committed to is in progress.");
    }
    const ages = this.#items.map((item) => this.#age(item));
    const high = Math.max(1, ...ages, ...this.#stages.map((stage) => stage.p95 ?? 0)) * 1.06;
    const frame = { left: 2.9 * unit, right: width - 0.4 * unit, top: 0.6 * unit, bottom: height - 2.9 * unit };
    const y = scale([0, high], [frame.bottom, frame.top], BEND);
    const step = (frame.right - frame.left) / this.#stages.length;
    const places = this.#places(frame.left, step, y, unit);
    return {
      shapes: [
        ...this.#stages.flatMap((stage, index) => shades(stage, frame.left + index * step, step, y, frame)),
        ...yAxis(spaced(bentDurationTicks(high, 6), y, 1.3 * unit), y, duration, frame),
        ...this.#stages.flatMap((stage, index) =>
          names(stage, this.#count(stage), frame.left + (index + 0.5) * step, step, frame.bottom, unit),
        ),
        ...places.map((place) => dot(place)),
      ],
      label: this.#said(),
      near: (px, py) => this.#near(places, px, py),
    };
  }

  /** Items side by side where their ages are alike. */
  #places(left, step, y, unit) {
    const radius = Math.max(3.2, unit * 0.22);
    const taken = this.#stages.map(() => []);
    return this.#items.flatMap((item) => {
      const column = this.#stages.findIndex((stage) => stage.stage === item.stage);
      if (column < 0) {
        return [];
      }
      const place = y(this.#age(item));
      const near = taken[column].filter((other) => Math.abs(other - place) < 2 * radius).length;
      taken[column].push(place);
      const room = Math.max(1, Math.floor((step * 0.42) / (2 * radius)));
      const offset = (near % 2 ? 1 : -1) * Math.ceil(near / 2);
      const aside = Math.max(-room, Math.min(room, offset)) * 2 * radius;
      return [{ item, late: this.#isLate(item), radius, x: left + (column + 0.5) * step + aside, y: place }];
    });
  }

  #near(places, px, py) {
    const distance = (place) => (place.x - px) ** 2 + (place.y - py) ** 2;
    const found = places.reduce((best, place) => (best && distance(best) <= distance(place) ? best : place), null);
    if (!found || distance(found) > REACH ** 2) {
      return null;
    }
    const { item } = found;
    const lines = [
      item.item,
      ...(item.title ? [item.title] : []),
      `in ${item.stage}, ${duration(this.#age(item))} since its commitment`,
    ];
    return {
      x: found.x,
      y: found.y,
      open: () => this.#open(item.item),
      lines: [...lines, ...(item.blocked ? ["Blocked"] : [])],
    };
  }

  #said() {
    const late = this.#items.filter((item) => this.#isLate(item)).length;
    const all = plural(this.#items.length, "item");
    const than = "older than 85% of finished items were when they left that stage";
    return `Age of ${all} since their commitment: ${count(late)} ${than}.`;
  }

  #fill() {
    if (this.#panel.details.open) {
      const heads = ["Items", "Oldest", ...EDGES.map((name) => `${name.slice(1)}%`)].map((number) => ({ number }));
      fillTable(
        this.#panel.table,
        "Age since the commitment: of the oldest item in each stage, and of finished items when they left it",
        ["Stage", ...heads],
        this.#stages.map((stage) => {
          const ages = this.#items.filter((item) => item.stage === stage.stage).map((item) => this.#age(item));
          const times = [ages.length ? Math.max(...ages) : null, ...EDGES.map((name) => stage[name])].map(duration);
          return [stage.stage, ...[count(ages.length), ...times].map((number) => ({ number }))];
        }),
      );
    }
  }
}

function shades(stage, left, step, y, frame) {
  const edges = EDGES.map((name) => (stage[name] === null ? null : y(stage[name])));
  let from = frame.bottom;
  return edges.flatMap((edge, index) => {
    if (edge === null) {
      return [];
    }
    const height = Math.max(0, from - edge);
    from = edge;
    return [
      shape("rect", { class: `shade shade-${index}`, x: left + 1, y: edge, width: Math.max(0, step - 2), height }),
    ];
  });
}

function names(stage, number, x, step, bottom, unit) {
  const most = Math.max(3, Math.floor(step / (unit * 0.46)));
  const name = stage.stage.length > most ? `${stage.stage.slice(0, most - 1)}…` : stage.stage;
  const row = (text, at, kind) =>
    shape("text", { class: kind, x, y: at, "text-anchor": "middle", "dominant-baseline": "hanging", text });
  return [row(name, bottom + 6, "label"), row(count(number), bottom + 6 + unit, "tick")];
}

function dot({ item, late, radius, x, y }) {
  const kind = `item${late ? " late" : ""}${item.blocked ? " blocked" : ""}`;
  return shape("circle", { class: kind, cx: x, cy: y, r: radius });
}
