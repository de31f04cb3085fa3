// What the page looks at, as its address says it: a link to it shows the same to somebody else.

export function read() {
  const asked = new URLSearchParams(location.search);
  return { stream: asked.get("stream"), window: asked.get("window"), item: asked.get("item") };
}

/** Writes what is looked at into the address; `step` makes it one that the back button leaves. */
export function write({ stream, window, item }, step = false) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries({ stream, window, item })) {
    if (value) {
      asked.set(name, value);
    }
  }
  const target = asked.size ? `?${asked}` : location.pathname;
  if (target !== (location.search || location.pathname)) {
    history[step ? "pushState" : "replaceState"](null, "", target);
  }
}
