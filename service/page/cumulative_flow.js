// The cumulative flow diagram: how much was finished since the window began, and above it what is in each stage.

import { shape } from "./dom.js";
import { axisTimes, count, instant, plural } from "./format.js";
import { fillTable } from "./listing.js";
import { Plot, apart, nothing, panel, xAxis, yAxis } from "./plot.js";
import { countTicks, scale, timeTicks } from "./scales.js";

const MOST_LABEL = 12;
const LEAST_SHARE = 0.12;

const NOTE = "Each band is a stage: its height is what is in it. A band that widens takes in more than it lets go.";

export class CumulativeFlow {
  #bands = [];
  #times = [];
  #finished = 0;
  #plot;
  #panel = panel("cumulative-flow", "Cumulative flow", NOTE);

  constructor() {
    this.root = this.#panel.root;
    this.#plot = new Plot(this.#panel.host, (size) => this.#draw(size));
    this.#panel.details.addEventListener("toggle", () => this.#fill());
  }

  /** `answer` as of the route of that name, `stages` of the status. */
  show(answer, stages) {
    this.#times = answer.points.map((point) => Date.parse(point.at));
    const [done, ...open] = bandsOf(answer.points, stages);
    this.#finished = done.values.at(-1);
    const most = open.length ? Math.max(...stacked(open).at(-1).tops) : 0;
    const isHidden = most > 0 && most < LEAST_SHARE * Math.max(...stacked([done, ...open]).at(-1).tops);
    this.#bands = stacked(isHidden ? open : [done, ...open]);
    const without = `What is done is left out: beside ${count(this.#finished)} items nothing else could be seen.`;
    this.#panel.note.textContent = isHidden ? `${NOTE} ${without}` : NOTE;
    this.#plot.refresh();
    this.#fill();
  }

  #draw(size) {
    const { width, height, unit } = size;
    const tops = this.#bands.at(-1)?.tops ?? [];
    const highest = Math.max(1, ...tops);
    if (tops.length < 2 || tops.every((top) => top === 0)) {
      return nothing(size, "Nothing moved in this window.");
    }
    const frame = { left: 2.6 * unit, right: width - 6.6 * unit, top: 0.6 * unit, bottom: height - 1.6 * unit };
    const x = scale([this.#times[0], this.#times.at(-1)], [frame.left, frame.right]);
    const y = scale([0, highest], [frame.bottom, frame.top]);
    const ticks = timeTicks(
      this.#times[0],
      this.#times.at(-1),
      Math.max(2, Math.floor((frame.right - frame.left) / (4.2 * unit))),
    );
    return {
      shapes: [
        ...this.#areas(x, y),
        ...yAxis(countTicks(highest, 5), y, count, frame),
        ...xAxis(ticks, x, axisTimes(ticks), frame.bottom),
        ...this.#labels(y, frame, unit),
      ],
      label: this.#said(),
      near: (px) => this.#near(px, x, y, frame),
    };
  }

  #areas(x, y) {
    const places = this.#times.map(x);
    return this.#bands.map((band, index) => {
      const floor = index ? this.#bands[index - 1].tops : band.tops.map(() => 0);
      const over = places.map((place, point) => `${place.toFixed(1)},${y(band.tops[point]).toFixed(1)}`);
      const under = places.map((place, point) => `${place.toFixed(1)},${y(floor[point]).toFixed(1)}`).reverse();
      const area = shape("path", { class: `band ${band.kind}`, d: `M${over.join("L")}L${under.join("L")}Z` });
      area.style.setProperty("--depth", `${band.depth}%`);
      return area;
    });
  }

  #labels(y, frame, unit) {
    const middles = this.#bands.map((band, index) => {
      const floor = index ? this.#bands[index - 1].tops.at(-1) : 0;
      return y((band.tops.at(-1) + floor) / 2);
    });
    const places = apart([...middles].reverse(), unit, frame.top, frame.bottom).reverse();
    return this.#bands.map((band, index) => {
      const name = band.name.length > MOST_LABEL ? `${band.name.slice(0, MOST_LABEL - 1)}…` : band.name;
      const text = `${name} ${count(band.values.at(-1))}`;
      return shape("text", {
        class: "label",
        x: frame.right + 8,
        y: places[index],
        "dominant-baseline": "middle",
        text,
      });
    });
  }

  #near(px, x, y, frame) {
    if (px < frame.left - 8 || px > frame.right + 8) {
      return null;
    }
    const distances = this.#times.map((at) => Math.abs(x(at) - px));
    const point = distances.indexOf(Math.min(...distances));
    const lines = [...this.#bands].reverse().map((band) => `${band.name}: ${count(band.values[point])}`);
    return {
      x: x(this.#times[point]),
      y: y(this.#bands.at(-1).tops[point]),
      lines: [instant(this.#times[point]), ...lines],
    };
  }

  #said() {
    const open = this.#bands.filter((band) => band.kind !== "done").reverse();
    const now = open.map((band) => `${band.name} ${count(band.values.at(-1))}`).join(", ");
    return `Cumulative flow. ${plural(this.#finished, "item")} finished in the window. In progress now: ${now}.`;
  }

  #fill() {
    if (this.#panel.details.open) {
      const bands = [...this.#bands].reverse();
      fillTable(
        this.#panel.table,
        "Items finished since the window began, and items in each stage",
        ["At (UTC)", ...bands.map((band) => ({ number: band.name }))],
        this.#times.map((at, point) => [instant(at), ...bands.map((band) => ({ number: count(band.values[point]) }))]),
      );
    }
  }
}

/** From the bottom up: what is done, then each stage from the last to the first. */
function bandsOf(points, stages) {
  const done = stages.filter((stage) => stage.kind === "done").map((stage) => stage.stage);
  const open = stages.filter((stage) => stage.kind !== "done").reverse();
  const finished = points.map((point) =>
    done.reduce((sum, name) => sum + (point.stages[name]?.arrivals ?? 0) - (point.stages[name]?.departures ?? 0), 0),
  );
  const bands = open.map((stage, index) => ({
    name: stage.stage,
    kind: stage.kind,
    depth: Math.round(88 - (76 * index) / Math.max(1, open.length - 1)),
    values: points.map((point) => point.stages[stage.stage]?.wip ?? 0),
  }));
  return [{ name: done[0] ?? "done", kind: "done", depth: 100, values: finished }, ...bands];
}

/** The same with `tops`, their running sums. More may have been reopened than finished: then the floor is there. */
function stacked(bands) {
  const floor = -Math.min(0, ...bands[0].values);
  let below = bands[0].values.map(() => floor);
  return bands.map((band) => {
    below = band.values.map((value, point) => value + below[point]);
    return { ...band, tops: below };
  });
}
