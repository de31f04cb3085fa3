// Server-sent events out of a stream of text. A fetch can carry a token in a header, which EventSource can't.

/** Takes text piece by piece; calls `heard(event, data, id)` for each event that is whole. */
export function eventParser(heard) {
  let rest = "";
  return (text) => {
    const parts = (rest + text).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(
        part
          .split("\n")
          .filter((line) => line && !line.startsWith(":"))
          .map((line) => {
            const colon = line.indexOf(":");
            return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
          }),
      );
      if (fields.data !== undefined) {
        heard(fields.event ?? "message", fields.data, fields.id);
      }
    }
  };
}
