/** Text as it may stand in HTML, also in an attribute. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replaceAll(/[&<>"']/g, (each) => entities[each]!);
}

/** What went wrong, without what a program said besides. */
export function firstLineOf(text: string): string {
  return text.trim().split("\n", 1)[0]!;
}

/** A table that scrolls by itself where the screen is too narrow. The cells are HTML. */
export function htmlTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const header = head.map((cell) => `<th scope="col">${cell}</th>`).join("");
  const body = rows.map(([first, ...cells]) => {
    const figures = cells.map((cell) => `<td>${cell}</td>`).join("");
    return `<tr><th scope="row">${first}</th>${figures}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${header}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** A number in an SVG: short. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** "120 µs", "4.2 ms". */
export function formatUs(us: number): string {
  return us < 1000 ? `${Number(us.toPrecision(2))} µs` : `${Number((us / 1000).toPrecision(2))} ms`;
}
