// The page: keeps what the service last said, and shows it.

import * as address from "./address.js";
import { Ageing } from "./ageing.js";
import { Connection, keepToken } from "./connection.js";
import { CumulativeFlow } from "./cumulative_flow.js";
import { CycleTimes } from "./cycle_times.js";
import { Deliveries } from "./deliveries.js";
import { byId, tell } from "./dom.js";
import { Forecast } from "./forecast.js";
import { capitalised, windowLength } from "./format.js";
import { Header } from "./header.js";
import { ItemDialog } from "./item.js";
import { Items } from "./items.js";
import { ValueStreamMap, verdictOf } from "./map.js";
import { Measures } from "./measures.js";
import { isStale, showEmpty, showNotices } from "./notices.js";
import { Queues } from "./queues.js";
import { showSummary } from "./summary.js";
import { Value } from "./value.js";

class Page {
  #view = address.read();
  #connection;
  #state = { name: "connecting" };
  #said = {};
  #byStage = { finished_items: new Map(), wsjf: new Map() };
  #chosen = null;
  #clockAhead = 0;
  #lastAt = null;
  #isDue = false;
  #header = new Header((chosen) => this.#look({ ...this.#view, item: null, ...chosen }, true));
  #map = new ValueStreamMap((stage) => this.#choose(stage));
  #flow = new CumulativeFlow();
  #cycleTimes = new CycleTimes((item) => this.#openItem(item));
  #ageing = new Ageing((item) => this.#openItem(item));
  #items = new Items(
    (item) => this.#openItem(item),
    () => this.#choose(null),
  );
  #forecast = new Forecast();
  #measures = new Measures();
  #queues = new Queues((item) => this.#openItem(item));
  #value = new Value();
  #deliveries = new Deliveries();
  #dialog = new ItemDialog(() => this.#itemClosed());

  start() {
    const now = [this.#flow, this.#cycleTimes, this.#ageing, this.#items];
    const panels = [...now, this.#forecast, this.#value, this.#queues, this.#measures, this.#deliveries];
    byId("panels").append(...panels.map((panel) => panel.root));
    byId("token-form").addEventListener("submit", (event) => this.#giveToken(event));
    addEventListener("popstate", () => this.#look(address.read(), false));
    this.#connection = new Connection(
      (event, value) => this.#hear(event, value),
      (state) => this.#changed(state),
    );
    this.#connection.show(this.#view.stream, this.#view.window);
    setInterval(() => this.#tick(), 1000);
  }

  #now() {
    return Date.now() + this.#clockAhead;
  }

  /** Looks at another stream, window or item. */
  #look(view, step) {
    const isOther = view.stream !== this.#view.stream || view.window !== this.#view.window;
    this.#view = view;
    address.write(view, step);
    if (isOther) {
      this.#chosen = null;
      this.#forget();
      this.#connection.show(view.stream, view.window);
    }
    if (!view.item) {
      this.#dialog.close();
    } else if (this.#said.hello) {
      this.#showItem();
    }
  }

  /** What was said of another view is not shown under this one's name. */
  #forget() {
    const { streams, deliveries, beat } = this.#said;
    this.#said = { streams, deliveries, beat };
    Object.values(this.#byStage).forEach((answers) => answers.clear());
    byId("figures").classList.add("waiting");
  }

  #hear(event, value) {
    this.#lastAt = this.#now();
    if (event in this.#byStage) {
      this.#byStage[event].set(value.stage, value);
    } else {
      this.#said[event] = value;
    }
    if (event === "hello") {
      this.#greet(value);
    } else if (event === "beat") {
      this.#clockAhead = Date.parse(value.at) - Date.now();
    }
    if (!this.#isDue) {
      this.#isDue = true;
      requestAnimationFrame(() => this.#show());
    }
  }

  #greet(hello) {
    this.#clockAhead = Date.parse(hello.at) - Date.now();
    this.#view = { ...this.#view, stream: hello.stream, window: hello.window };
    address.write(this.#view);
    this.#header.show(hello);
    this.#forecast.look(hello.stream);
    tell(byId("version"), `· Streamgauge ${hello.version}`);
    if (this.#view.item) {
      this.#showItem();
    }
  }

  #show() {
    this.#isDue = false;
    const { hello, status, streams, deliveries } = this.#said;
    if (!hello) {
      return;
    }
    if (streams) {
      this.#header.showOverview(streams.streams);
    }
    if (deliveries) {
      this.#deliveries.show(deliveries);
    }
    if (status) {
      this.#showStream(status);
    }
    this.#tick();
  }

  #showStream(status) {
    const about = this.#said.streams?.streams.find((entry) => entry.stream === status.stream) ?? null;
    const isEmpty =
      about !== null && about.facts === 0 && status.stages.every((stage) => !stage.wip && !stage.arrivals);
    byId("empty").hidden = !isEmpty;
    byId("figures").hidden = isEmpty;
    byId("figures").classList.remove("waiting");
    document.title = `${status.stream} · ${status.wip} in progress · Streamgauge`;
    if (isEmpty) {
      showEmpty({ hello: this.#said.hello, stream: status.stream });
      return;
    }
    tell(byId("title"), status.stream);
    const verdict = verdictOf(status.stages, about?.watched ?? false);
    tell(byId("verdict"), capitalised(verdict.text));
    byId("verdict").dataset.level = verdict.level;
    showSummary(status);
    this.#map.show(status.stages, Date.parse(status.at), this.#chosen);
    this.#showPanels(status);
  }

  #showPanels(status) {
    const { open_items: open, cumulative_flow: flow, measures } = this.#said;
    const { finished_items: finished, wsjf } = this.#byStage;
    const at = Date.parse(status.at);
    if (flow) {
      this.#flow.show(flow, status.stages);
    }
    if (measures) {
      this.#measures.show(measures);
      this.#value.show(measures.trend);
    }
    const queues = status.stages.filter((stage) => stage.kind === "queue").map((stage) => wsjf.get(stage.stage));
    this.#queues.show(queues.filter(Boolean), this.#now());
    if (finished.size) {
      const window = [at - windowLength(status.window), at];
      this.#cycleTimes.show([...finished.values()], status.cycle_time, window);
    }
    if (open) {
      const read = Date.parse(open.at);
      const items = open.items.map((item) => ({
        ...item,
        at: Date.parse(item.since),
        startedAt: item.item_age === null ? null : read - item.item_age * 1000,
      }));
      const isCut = open.next_cursor !== null;
      this.#items.show(items, { isCut, chosen: this.#chosen, stages: status.stages });
      if (this.#said.ageing) {
        this.#ageing.show(items, { isCut, pace: this.#said.ageing.stages, now: this.#now() });
      }
    }
  }

  #tick() {
    const now = this.#now();
    const beat = this.#said.beat ?? null;
    if (this.#said.status && !byId("figures").hidden) {
      this.#map.tick(now);
      this.#items.tick(now);
    }
    const isLive = this.#state.name === "live";
    if (isLive) {
      this.#forecast.tick();
    }
    const stale = isLive && isStale(beat, now);
    this.#header.showConnection(
      stale ? "stale" : this.#state.name,
      stale && beat.read_at ? Date.parse(beat.read_at) : this.#lastAt,
    );
    showNotices({ connection: this.#state, beat: isLive ? beat : null, now, lastAt: this.#lastAt });
  }

  #changed(state) {
    this.#state = state;
    byId("token-form").hidden = true;
    if (state.name === "refused") {
      this.#refused(state.error);
    }
    this.#tick();
  }

  #refused(error) {
    byId("figures").hidden = true;
    byId("empty").hidden = true;
    const form = byId("token-form");
    form.hidden = false;
    const asksForToken = error.status === 401;
    form.querySelector("h1").textContent = asksForToken ? "A token is needed" : "There is nothing to show";
    const first = "This service answers only to those who have a token of its API.";
    tell(byId("token-why"), error.reason === "missing_token" ? first : capitalised(`${error.message}.`));
    for (const part of form.querySelectorAll("label, input, button, .soft")) {
      part.hidden = !asksForToken;
    }
    if (asksForToken) {
      byId("token").focus();
    }
  }

  #giveToken(event) {
    event.preventDefault();
    keepToken(byId("token").value.trim());
    byId("token").value = "";
    byId("figures").hidden = false;
    this.#connection.retry();
  }

  #choose(stage) {
    this.#chosen = stage === this.#chosen ? null : stage;
    this.#show();
    if (this.#chosen !== null) {
      byId("items").scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
  }

  #openItem(item) {
    this.#look({ ...this.#view, item }, true);
  }

  #showItem() {
    const kinds = new Map(this.#said.hello.stages.map((stage) => [stage.stage, stage.kind]));
    this.#dialog.open(this.#view.stream, this.#view.item, kinds);
  }

  #itemClosed() {
    if (this.#view.item) {
      this.#look({ ...this.#view, item: null }, true);
    }
  }
}

new Page().start();
